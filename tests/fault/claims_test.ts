// Whose a host is, with real processes: a card that is killed, one that stands still, and strangers.
import { assert, assertEquals } from "@std/assert";
import { isState, Lab, temporaryFolder } from "../support/lab.ts";
import { type LabEvent, LabProcess } from "../support/lab_process.ts";

const reason = (wanted: string) => ({ type, status }: LabEvent): boolean => {
  const goodbye = status as LabEvent | undefined;
  return type === "link" && goodbye?.type === "goodbye" && goodbye["reason"] === wanted;
};

const isLink = (wanted: string) => ({ type, status }: LabEvent): boolean =>
  type === "link" && (status as LabEvent).type === wanted;

/** A card process of another machine; `home` has its configuration. */
async function cardOf(lab: Lab, home: string): Promise<LabProcess> {
  const { port } = await lab.host.event(({ type }) => type === "listening");
  const connect = ["--connect", `127.0.0.1:${port}`, "--machine", "diag", "--json"];
  return await LabProcess.start("card", connect, { env: { XDG_CONFIG_HOME: home } });
}

Deno.test("a card that was killed and started again is served, and a stranger is not meanwhile", async () => {
  await using folder = await temporaryFolder();
  const home = `${folder.path}/card`;
  await using lab = await Lab.start({ os: "diag", env: { XDG_CONFIG_HOME: home } });
  await lab.online();
  const from = lab.host.events.length;
  lab.card.kill("SIGKILL");
  await lab.host.event(isLink("lost"), from);
  await using stranger = await cardOf(lab, `${folder.path}/stranger`);
  const goodbye = await stranger.event(reason("busy"));
  assert(JSON.stringify(goodbye).includes("--card-loss-timeout"), JSON.stringify(goodbye));
  const killed = performance.now();
  await using _again = await cardOf(lab, home);
  await lab.host.event(isState("online"), from);
  console.log(
    `figure: killed card online again after ${Math.round(performance.now() - killed)} ms`,
  );
  const states = lab.host.events.slice(from).flatMap(({ type, event }) => {
    const { type: inner, state, reason } = (event ?? {}) as Record<string, string>;
    return type === "card" && inner === "state" ? [`${state} ${reason}`] : [];
  });
  assertEquals(states, ["shutting_down crashed", "ready nop", "booting nop", "online nop"]);
});

Deno.test("a host given --card-loss-timeout serves another card once the first is gone for so long", async () => {
  await using folder = await temporaryFolder();
  await using lab = await Lab.start({
    os: "diag",
    host: ["--card-loss-timeout", "1"],
    env: { XDG_CONFIG_HOME: `${folder.path}/card` },
  });
  await lab.online();
  const from = lab.host.events.length;
  lab.card.kill("SIGKILL");
  await lab.host.event(({ type }) => type === "given_up", from);
  await using _stranger = await cardOf(lab, `${folder.path}/stranger`);
  await lab.host.event(isState("online"), from);
});

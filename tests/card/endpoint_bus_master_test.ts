import { assertEquals } from "@std/assert";
import { BusMaster } from "../../card/endpoint/bus_master.ts";
import { RecordingRequester } from "../support/recording_requester.ts";

/** A link with room for one of those who wait at a time. */
class OneAtATime extends RecordingRequester {
  readonly waiting: (() => void)[] = [];
  override onWritable(resume: () => void): void {
    this.waiting.push(resume);
  }
}

Deno.test("BusMaster.onWritable() resumes one for each turn that the link gives, the longest waiting first", () => {
  const master = new BusMaster();
  const link = new OneAtATime();
  master.setRequester(link);
  const turns: string[] = [];
  const again = (name: string) => () => {
    turns.push(name);
    master.onWritable(again(name));
  };
  master.onWritable(again("first"));
  master.onWritable(again("second"));
  for (let turn = 0; turn < 4; turn++) link.waiting.shift()!();
  assertEquals(turns, ["first", "second", "first", "second"]);
});

Deno.test("BusMaster takes who waits along to the next link, in order, and hears no more of the last one", () => {
  const master = new BusMaster();
  const turns: string[] = [];
  master.onWritable(() => turns.push("first"));
  const [old, link] = [new OneAtATime(), new OneAtATime()];
  master.setRequester(old);
  master.onWritable(() => turns.push("second"));
  master.setRequester(link);
  for (const resume of old.waiting) resume();
  assertEquals([turns, link.waiting.length], [[], 2]);
  for (const resume of link.waiting) resume();
  assertEquals(turns, ["first", "second"]);
});

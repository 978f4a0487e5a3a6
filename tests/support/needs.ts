/**
 * What a test needs of the machine it runs on. A test that cannot have it is skipped, with the reason on stderr.
 *
 * @module
 */
import { O, openLibc } from "../../host/backends/_libc.ts";

/** "tun" is to be asked for after "ffi". */
type Need = "ffi" | "root" | "tun" | { readonly program: string };

/** Asked by system call: Deno lets nobody look at /dev but with all permissions. */
function tunOpens(): boolean {
  using libc = openLibc();
  const fd = libc.open("/dev/net/tun", O.RDWR);
  if (fd >= 0) libc.close(fd);
  return fd >= 0;
}

/**
 * True, with the reason printed, when something of `needs` is not to be had here: for `Deno.test({ ignore })`.
 */
export async function missing(...needs: Need[]): Promise<boolean> {
  for (const need of needs) {
    const reason = await lack(need);
    if (reason === undefined) continue;
    console.error(`skipped here: ${reason}`);
    return true;
  }
  return false;
}

async function lack(need: Need): Promise<string | undefined> {
  if (need === "ffi") {
    const ffi = await Deno.permissions.query({ name: "ffi" });
    if (Deno.build.os !== "linux") return "system calls are made on Linux only";
    return ffi.state === "granted" ? undefined : "no --allow-ffi";
  }
  if (need === "root") {
    const sys = await Deno.permissions.query({ name: "sys", kind: "uid" });
    if (sys.state !== "granted") return "no --allow-sys=uid";
    return Deno.uid() === 0 ? undefined : "not root";
  }
  if (need === "tun") {
    return tunOpens() ? undefined : "no /dev/net/tun, or not for this user";
  }
  const run = await Deno.permissions.query({ name: "run", command: need.program });
  if (run.state !== "granted") return `no --allow-run=${need.program}`;
  for (const directory of ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"]) {
    if (await exists(`${directory}/${need.program}`)) return undefined;
  }
  return `${need.program} is not installed`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

/** What tells of sockets (iproute2). */
export async function hasSs(): Promise<boolean> {
  try {
    return (await new Deno.Command("ss", { args: ["-V"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

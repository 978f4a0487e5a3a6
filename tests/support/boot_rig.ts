/**
 * A card with a bootstrap and fake machines, and what a host does to boot it: download, header, digests, boot signal.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Bootstrap, type BootstrapEvent } from "../../card/endpoint/bootstrap.ts";
import {
  BOOT_SIGNAL,
  CARD_STATE,
  type CardState,
  MESSAGE,
  page,
  postText,
  viewOf,
} from "../../protocol/mod.ts";
import { APERTURE, BLOCK, EndpointHost } from "./endpoint_host.ts";
import { FakeMachine } from "./fake_machine.ts";

export const HOST_PAGE = 0x80_0000_0000;
const KERNEL_AT = 0x10_0000;
const CMDLINE_AT = 0x18_0000;
const INITRD_AT = 0x19_0000;

/** What to download. The address and digests are right, whatever the text. */
export interface Download {
  readonly kernel: string;
  readonly cmdline: string;
  readonly initrd: string;
}

export class BootRig implements AsyncDisposable {
  readonly host: EndpointHost = new EndpointHost();
  readonly events: BootstrapEvent[] = [];
  readonly machines: FakeMachine[] = [];
  readonly bootstrap: Bootstrap;
  readonly #waiting = new Map<CardState, PromiseWithResolvers<void>>();
  /** Makes machines; a test may have it fail or wait. */
  makeMachine: (machine: FakeMachine) => FakeMachine | Promise<FakeMachine> = (machine) => machine;

  constructor() {
    this.bootstrap = new Bootstrap({
      endpoint: this.host.endpoint,
      requester: this.host.requester,
      memoryBytes: this.host.memoryBytes,
      machine: ({ memoryBytes }) => {
        const machine = new FakeMachine(memoryBytes);
        this.machines.push(machine);
        return Promise.resolve(this.makeMachine(machine));
      },
      onEvent: (event) => {
        this.events.push(event);
        if (event.type === "state") this.#waiting.get(event.state)?.resolve();
      },
    });
    this.host.setUp();
  }

  get machine(): FakeMachine {
    return this.machines.at(-1)!;
  }

  /** Two-character POST codes that the host was told of, since `host.link.forget()`. */
  get postCodes(): string[] {
    return this.host.link.messages(MESSAGE.post_code).map(([code]) => postText(code!));
  }

  /** Resolves when the card enters `state` the next time. */
  reaches(state: CardState): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#waiting.set(state, waiting);
    return waiting.promise;
  }

  /** Writes the reset register and waits until the card is ready again. */
  async reset(): Promise<void> {
    const ready = this.reaches("ready");
    this.host.writeRegister("reset", 1);
    await ready;
  }

  /** Writes images and boot header through the aperture. */
  download({ kernel, cmdline, initrd }: Download = LINUX): void {
    const { endpoint } = this.host;
    const encoder = new TextEncoder();
    const images = [kernel, cmdline, initrd].map((text) => encoder.encode(text));
    [KERNEL_AT, CMDLINE_AT, INITRD_AT].forEach((at, i) => {
      endpoint.memoryWrite(APERTURE + at, images[i]!);
    });
    const header = new Uint8Array(page.DIGESTS_OFFSET + 96);
    page.CARD_HEADER.write(viewOf(header), {
      magic: page.PAGE_MAGIC,
      version: page.PAGE_VERSION,
      slots: page.SLOTS,
      kernel_address: KERNEL_AT,
      kernel_length: images[0]!.length,
      cmdline_length: images[1]!.length,
      cmdline_address: CMDLINE_AT,
      initrd_address: INITRD_AT,
      initrd_length: images[2]!.length,
      shutdown_request: 0,
      time_seconds: 0n,
      time_nanoseconds: 0,
      serial_request: 0,
    });
    images.forEach((image, i) => {
      if (image.length === 0) return;
      header.set(createHash("sha256").update(image).digest(), page.DIGESTS_OFFSET + 32 * i);
    });
    this.writePage(0, header);
    this.writeHostPage();
  }

  /** Says where the host page is. */
  writeHostPage(): void {
    this.host.writeRegister("host_page_low", HOST_PAGE % 2 ** 32);
    this.host.writeRegister("host_page_high", HOST_PAGE / 2 ** 32);
  }

  /** Writes into the card page, through the aperture. */
  writePage(offset: number, bytes: Uint8Array): void {
    const { endpoint } = this.host;
    endpoint.memoryWrite(APERTURE + endpoint.cardPageOffset + offset, bytes);
  }

  /** Writes one 32-bit field of the card page. */
  writePage32(offset: number, value: number): void {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    this.writePage(offset, bytes);
  }

  bootSignal(): void {
    this.host.writeRegister("boot", BOOT_SIGNAL);
  }

  ring(doorbell: number, value: number): void {
    this.host.write32(BLOCK + 0x8000 + 4 * doorbell, value);
  }

  /** The host page as all posted writes left it. */
  get hostPage(): Uint8Array {
    const bytes = new Uint8Array(page.PAGE_SIZE);
    this.host.link.applyTo(bytes, HOST_PAGE);
    return bytes;
  }

  get hostHeader(): ReturnType<typeof page.HOST_HEADER.read> {
    return page.HOST_HEADER.read(viewOf(this.hostPage));
  }

  get publishedState(): CardState | undefined {
    const { card_state } = this.hostHeader;
    return (Object.keys(CARD_STATE) as CardState[]).find((s) => CARD_STATE[s] === card_state);
  }

  /** Why the card refused, as the host reads it. */
  get text(): string {
    const { text_length } = this.hostHeader;
    const at = page.TEXT_OFFSET;
    return new TextDecoder().decode(this.hostPage.subarray(at, at + text_length));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.bootstrap[Symbol.asyncDispose]();
  }
}

export const LINUX: Download = { kernel: "a kernel", cmdline: "console=hvc0", initrd: "an initrd" };

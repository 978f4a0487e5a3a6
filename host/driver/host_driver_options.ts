/**
 * What the host driver is given, and what its commands take.
 *
 * @module
 */
import type { Requester } from "../../protocol/mod.ts";
import type { Devices } from "./boot.ts";
import type { CardPatienceOptions } from "./card_patience.ts";
import type { CardEvent } from "./events.ts";
import type { RootPort } from "./root_port.ts";
import type { SerialSink } from "./serial_stream.ts";

export interface HostDriverOptions extends CardPatienceOptions {
  readonly requester: Requester;
  /** The completer of that link. */
  readonly rootPort: RootPort;
  /** By slot; at most 31. Read at each boot and adoption; the owner may change it in between. */
  readonly devices: Devices;
  /** Called synchronously, also while frames are applied: must not throw. */
  readonly onEvent?: (event: CardEvent) => void;
  /** Takes what the card OS writes on its first serial port; without it the card keeps that to itself. */
  readonly serial?: SerialSink | undefined;
}

export interface CancelOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ProbeOptions extends CancelOptions {
  /** Take over a card OS that runs and has lost its host; else the card is reset, as in any other state. */
  readonly adopt?: boolean;
}

export interface TimeoutOptions extends CancelOptions {
  /** Milliseconds; none by default. */
  readonly timeout?: number | undefined;
}

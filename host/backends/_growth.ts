/**
 * A disk grows, and never shrinks: what lies behind the new end would be lost, and the card OS has no say in it.
 *
 * @module
 */
import { virtioBlock } from "../../protocol/mod.ts";

/** Why a disk of `now` sectors cannot have `wanted`; undefined if it can. */
export function growthError(wanted: number, now: number): string | undefined {
  if (wanted >= now) return undefined;
  const [has, asked] = [now, wanted].map((sectors) => sectors * virtioBlock.SECTOR_SIZE);
  return `it has ${has} bytes, ${asked} would be fewer, and what lies behind them would be lost`;
}

/**
 * Addresses for the card's interfaces.
 *
 * @module
 */

/** A random locally administered unicast address. */
export function randomMac(): Uint8Array {
  const mac = crypto.getRandomValues(new Uint8Array(6));
  mac[0] = (mac[0]! & 0xfc) | 0x02;
  return mac;
}

/** @throws {RangeError} unless it is six bytes and not a group address */
export function checkedMac(mac: Uint8Array): Uint8Array {
  if (mac.length !== 6 || (mac[0]! & 1) !== 0) {
    const text = [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    throw new RangeError(`Cannot use MAC address ${text}: wanted six bytes, the first one even`);
  }
  return mac.slice();
}

/**
 * What the demo shows of a card when nobody sits at the terminal: one script per card OS.
 *
 * @module
 */
const LINUX = String.raw`
section() { printf '\n== %s\n' "$1"; }
section 'kernel'; uname -sr
section 'disks (lsblk)'; lsblk
section 'mounts'; mount | grep -v -e devpts -e tmpfs
section 'virtio devices and their interrupts'; ls /sys/bus/virtio/devices; grep virtio /proc/interrupts
section 'addresses'; ip -4 addr show | grep -e '^[0-9]' -e inet
gateway=$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')
status=0
if [ -n "$gateway" ]; then
  section "the host, pinged at $gateway"; ping -c 3 -W 2 "$gateway" || status=1
else
  section 'no network'; echo 'the host lends this card none'
fi
section 'a file on the disk, synced'
dd if=/dev/urandom of=/root/tour bs=1M count=4 2>/dev/null && sync && sha256sum /root/tour || status=1
exit $status
`;

const DIAG =
  "uname; lspci; lsblk; ip; dd if=zero of=vda bs=1M count=4; sync; bench vda rw=randread bs=4k depth=32 seconds=2";

export const TOURS: Readonly<Record<"linux" | "diag", string>> = { linux: LINUX, diag: DIAG };

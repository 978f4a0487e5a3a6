/**
 * The Debian packages the card image is made of, and the versions it was tested with.
 *
 * A pinned version is taken where the archive still has it, else the newest of that name, and the manifest says which.
 * Debian 12 is the last release with an i386 kernel, so the suite is fixed.
 *
 * @module
 */
export const SUITE = "bookworm";
export const ARCHITECTURE = "i386";

export interface Pin {
  readonly name: string;
  readonly version: string;
}

/** The metapackage that names the current kernel, for when the pinned one is gone. */
export const KERNEL_META = "linux-image-686";
export const KERNEL: Pin = { name: "linux-image-6.1.0-50-686-unsigned", version: "6.1.176-1" };

/** One static binary: shell, init, DHCP client, and all small tools. */
export const BUSYBOX: Pin = { name: "busybox-static", version: "1:1.35.0-4+deb12u1+b1" };

/** What a lab wants on the card beyond busybox: lsblk, lspci, iperf3, and the libraries those three load. */
export const TOOLS: readonly Pin[] = [
  { name: "util-linux", version: "2.38.1-5+deb12u3" },
  { name: "pciutils", version: "1:3.9.0-4" },
  { name: "iperf3", version: "3.12-1+deb12u2" },
  { name: "libc6", version: "2.36-9+deb12u14" },
  { name: "libgcc-s1", version: "12.2.0-14+deb12u1" },
  { name: "libblkid1", version: "2.38.1-5+deb12u3" },
  { name: "libmount1", version: "2.38.1-5+deb12u3" },
  { name: "libsmartcols1", version: "2.38.1-5+deb12u3" },
  { name: "libuuid1", version: "2.38.1-5+deb12u3" },
  { name: "libudev1", version: "252.39-1~deb12u2" },
  { name: "libselinux1", version: "3.4-1+b6" },
  { name: "libpcre2-8-0", version: "10.42-1" },
  { name: "libpci3", version: "1:3.9.0-4" },
  { name: "pci.ids", version: "0.0~2023.04.11-1" },
  { name: "libkmod2", version: "30+20221128-1" },
  { name: "liblzma5", version: "5.4.1-1+deb12u1" },
  { name: "libzstd1", version: "1.5.4+dfsg2-5" },
  { name: "zlib1g", version: "1:1.2.13.dfsg-1" },
  { name: "libssl3", version: "3.0.20-1~deb12u2" },
  { name: "libiperf0", version: "3.12-1+deb12u2" },
  { name: "libsctp1", version: "1.0.19+dfsg-2" },
];

/** Paths of the unpacked tools that go into the root image; libraries are taken whole. */
export const TOOL_FILES = [
  "bin/lsblk",
  "usr/bin/lspci",
  "usr/bin/iperf3",
  "usr/share/misc/pci.ids",
] as const;

/** Kernel modules the image loads, in this order, but that what one depends on is found and comes first. */
export const MODULES = [
  // Tells the card that the kernel panicked, through the pvpanic function that the machine has; then also in what follows.
  "pvpanic_pci",
  // The watchdog that the machine has.
  "i6300esb",
  "virtio_pci",
  "virtio_console",
  "virtio_blk",
  "virtio_net",
  "crc32c_generic",
  "ext4",
] as const;

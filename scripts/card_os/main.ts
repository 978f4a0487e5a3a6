/**
 * `deno task card-os`: builds the Linux card image, or says where it is.
 *
 * @module
 */
import { EXIT, megabytes, parseOptions, runMain } from "../cli/mod.ts";
import { cardImage } from "./build.ts";

const COMMAND = {
  name: "deno task card-os",
  about: "builds the Linux card image from Debian packages, without root.\n\n" +
    "The image (kernel, initial file system, ext4 root disk) is kept in the user's cache folder\n" +
    "and built anew only when its recipe changes.",
  options: {
    force: { kind: "flag", help: "Build it even if it is there." },
    mirror: {
      kind: "text",
      value: "URI",
      help: "Debian archive to use instead of this machine's own.",
    },
    json: { kind: "flag", help: "Print the image's manifest and folder as JSON on stdout." },
  },
} as const;

await runMain("card-os", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (!options) return EXIT.ok;
  const image = await cardImage({ force: options.force, mirror: options.mirror });
  if (options.json) {
    console.log(JSON.stringify({ folder: image.folder, ...image.manifest }, null, 2));
    return EXIT.ok;
  }
  const { kernel, files } = image.manifest;
  console.log(`card image ${image.built ? "built" : "in the cache"}: Debian kernel ${kernel}`);
  for (const [name, file] of Object.entries(files)) {
    console.log(
      `  ${image.folder}/${name}  ${megabytes(file.length)}  sha256 ${file.sha256.slice(0, 16)}...`,
    );
  }
  return EXIT.ok;
});

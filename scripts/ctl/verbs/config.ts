/**
 * `ctl config`: a host's configuration file, checked, printed as it is in effect, or the schema of it.
 *
 * @module
 */
import { EXIT } from "../../cli/errors.ts";
import { verb } from "../verb.ts";

export const CONFIG = verb({
  name: "config",
  about: "Checks a configuration file, prints what is in effect, or its schema",
  operands: {
    value: "check|print|schema [FILE]",
    completes: [["check", "print", "schema"], "files"],
    least: 1,
    most: 2,
  },
  options: {},
  examples: ["ctl config check knightsbridge.jsonc", "ctl config print knightsbridge.jsonc"],
  async run({ operands, out }) {
    // All that knows what may be in the file: half of what ctl would load, for this verb alone.
    const { look } = await import("../../config/look.ts");
    out.write(await look(operands));
    return EXIT.ok;
  },
});

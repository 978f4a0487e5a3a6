/**
 * The JSON schema of `knightsbridge.jsonc`, for editors: they complete and explain by it.
 *
 * @module
 */
import { z } from "zod";
import { HOST_CONFIG } from "./schema.ts";

/** Draft 2020-12, as text that ends with a new line. */
export function jsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(HOST_CONFIG, { io: "input" }), undefined, 2)}\n`;
}

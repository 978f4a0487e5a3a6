/**
 * What every command shares: options, exit statuses, progress.
 *
 * @module
 */
export {
  cachedCardImage,
  cacheFolder,
  type CardImage,
  cardImageFolder,
  type ImageFile,
  type Manifest,
  RECIPE,
} from "./card_image.ts";
export {
  CONTROL_FORM,
  type ControlPlace,
  makeControlFolder,
  parseControl,
} from "./control_place.ts";
export { makeControlToken } from "./control_token.ts";
export { CommandError, EXIT, runMain } from "./errors.ts";
export {
  configFolder,
  machineIdentity,
  plainIdentity,
  type TrustedPeer,
  trustedPeers,
  trustPeer,
  trusts,
} from "./identity.ts";
export {
  type Command,
  helpText,
  hostAndPort,
  type Operands,
  type Option,
  type OptionTable,
  type OptionValues,
  parseCommandLine,
  parseOptions,
  wholeNumber,
} from "./options.ts";
export { megabytes, withProgress } from "./progress.ts";
export { INSECURE, requirePaired, SECURITY_OPTIONS, usesTls } from "./security.ts";
export { spawnTask } from "./tasks.ts";
export { tell } from "./tell.ts";
export { VERSION } from "./version.ts";

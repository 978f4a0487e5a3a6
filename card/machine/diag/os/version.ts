/**
 * @module
 */

/** Version of the diagnostic OS, as `uname -a` tells it. */
export const DIAG_VERSION = "0.1.0";

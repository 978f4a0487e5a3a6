/**
 * Where things are installed: below a prefix, in the folders where systemd and shells look for them.
 *
 * @module
 */
export interface Places {
  readonly user: boolean;
  /** Executables. */
  readonly bin: string;
  /** Sources, packages and the record of what was installed. Nothing else is ever in it. */
  readonly library: string;
  /** Units. */
  readonly units: string;
  /** Programs that systemd runs around sleep, of a machine's installation. */
  readonly sleep?: string;
  /** logind's settings, of a machine's installation. */
  readonly logind?: string;
  readonly bash: string;
  readonly zsh: string;
  readonly fish: string;
}

/** `prefix` without a slash at its end; `user`: for this user's own service manager. */
export function placesIn(prefix: string, user: boolean): Places {
  const share = `${prefix}/share`;
  return {
    user,
    bin: `${prefix}/bin`,
    library: `${prefix}/lib/knightsbridge`,
    units: user ? `${share}/systemd/user` : `${prefix}/lib/systemd/system`,
    ...(!user && {
      // The only folder of its kind where systemd does not look below /usr/local.
      sleep: `${prefix === "/usr/local" ? "/usr" : prefix}/lib/systemd/system-sleep`,
      logind: `${prefix}/lib/systemd/logind.conf.d`,
    }),
    bash: `${share}/bash-completion/completions`,
    zsh: `${share}/zsh/site-functions`,
    fish: `${share}/fish/vendor_completions.d`,
  };
}

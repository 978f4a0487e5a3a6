/**
 * Shell completion, made from the verbs: for bash, zsh and fish, under the names `ctl` and `knightsbridge`.
 *
 * The scripts know verbs and options; names of cards they ask for when they are wanted (`completion cards`).
 *
 * @module
 */
import type { OptionTable } from "../cli/options.ts";
import { COMMON_OPTIONS, type Verb } from "./verb.ts";

/** What the scripts ask for when they need the names of cards. */
export const CARD_NAMES = "cards";
const COMMANDS = "ctl knightsbridge";

/** One shell's script. */
export type Script = (verbs: readonly Verb[]) => string;

export const SCRIPTS: Readonly<Record<string, Script>> = { bash, zsh, fish };

/** Options of `verb`, the common ones too. */
function optionsOf(verb: Verb) {
  const table: OptionTable = { ...verb.options, ...COMMON_OPTIONS, help: HELP };
  return Object.entries(table)
    .map(([name, { kind, help }]) => ({ name, valued: kind !== "flag", help: firstLine(help) }));
}
const HELP = { kind: "flag", help: "Show what there is." } as const;

/** Options whose next word is their value. */
function valuedOptions(verbs: readonly Verb[]): string[] {
  const names = verbs.flatMap((verb) => optionsOf(verb).filter(({ valued }) => valued))
    .map(({ name }) => `--${name}`);
  return [...new Set(names)];
}

/** What completes the words behind `verb`: a place each, the last for all that follow. */
const placesOf = ({ operands }: Verb) => operands?.completes ?? [];

/** Walks the words before the one at the cursor: sets `verb`, and `place`, the number of its operands so far. */
const shellWalk = (verbs: readonly Verb[], words: string, first: number, end: string): string[] => [
  `  for ((at = ${first}; at < ${end}; at++)); do`,
  `    case \${${words}[at]} in`,
  `      ${valuedOptions(verbs).join("|")}) ((at++)) ;;`,
  ...verbs.filter(({ short }) => short).map(({ name, short }) =>
    `      -${short}) [[ -z $verb ]] && verb=${name} ;;`
  ),
  `      -*) ;;`,
  `      *) if [[ -z $verb ]]; then verb=\${${words}[at]}; else ((place++)); fi ;;`,
  `    esac`,
  `  done`,
];

/** `case` lines that set `found`, or `files`, for each verb and place; `cards` is the command that prints the names. */
const shellCases = (verbs: readonly Verb[], cards: string): string[] =>
  verbs.flatMap((verb) => {
    const options = optionsOf(verb).map(({ name }) => `--${name}`).join(" ");
    const places = placesOf(verb).map((place, at) => {
      const last = at === placesOf(verb).length - 1;
      const pattern = last ? "*" : at;
      if (place === "files") return `        ${pattern}) files=yes ;;`;
      const words = place === "cards" ? `$(${cards})` : place.join(" ");
      return `        ${pattern}) found="$found ${words}" ;;`;
    });
    return [
      `    ${verb.name})`,
      `      found="${options}"`,
      ...(places.length > 0 ? [`      case $place in`, ...places, `      esac`] : []),
      `      ;;`,
    ];
  });

function bash(verbs: readonly Verb[]): string {
  const names = verbs.map(({ name }) => name).join(" ");
  return lines(
    "# Completion of knightsbridge ctl for bash: source this file.",
    "_knightsbridge_ctl() {",
    '  local verb="" place=0 at found files=""',
    ...shellWalk(verbs, "COMP_WORDS", 1, "COMP_CWORD"),
    "  case $verb in",
    `    "") found="${names} --control --help" ;;`,
    ...shellCases(verbs, `"\${COMP_WORDS[0]}" completion ${CARD_NAMES} 2>/dev/null`),
    "  esac",
    "  # After an option that takes a value there is nothing to offer.",
    "  if ((at > COMP_CWORD)); then COMPREPLY=(); return; fi",
    '  COMPREPLY=($(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}"))',
    "  if [[ -n $files ]]; then",
    "    compopt -o filenames 2>/dev/null",
    '    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")',
    "  fi",
    "}",
    `complete -F _knightsbridge_ctl ${COMMANDS}`,
  );
}

function zsh(verbs: readonly Verb[]): string {
  const described = verbs.map(({ name, about }) => `    ${quoted(`${name}:${about}`)}`);
  return lines(
    `#compdef ${COMMANDS}`,
    "# Completion of knightsbridge ctl for zsh: source this file after compinit, or have it in $fpath as _knightsbridge.",
    "_knightsbridge_ctl() {",
    '  local verb="" found files=""; local -i place=0 at; local -a verbs',
    "  verbs=(",
    ...described,
    "  )",
    ...shellWalk(verbs, "words", 2, "CURRENT"),
    "  if ((at > CURRENT)); then return; fi",
    "  if [[ -z $verb ]]; then _describe verb verbs; compadd -- --control --help; return; fi",
    "  case $verb in",
    ...shellCases(verbs, `"\${words[1]}" completion ${CARD_NAMES} 2>/dev/null`),
    "  esac",
    "  compadd -- ${=found}",
    "  if [[ -n $files ]]; then _files; fi",
    "}",
    `compdef _knightsbridge_ctl ${COMMANDS}`,
    "# Loaded by zsh itself, this file is the function that was asked, the first time.",
    'if [[ ${funcstack[1]} == _knightsbridge ]]; then _knightsbridge_ctl "$@"; fi',
  );
}

function fish(verbs: readonly Verb[]): string {
  const complete = (condition: string, rest: string) =>
    `  complete -c $command -n ${quoted(`__knightsbridge_at ${condition}`)} ${rest}`;
  return lines(
    "# Completion of knightsbridge ctl for fish: source this file.",
    ...fishWalk(verbs),
    `for command in ${COMMANDS}`,
    "  complete -c $command -f",
    complete("none", `-l control -x -d ${quoted(firstLine(COMMON_OPTIONS.control.help))}`),
    complete("none", `-l help -d ${quoted(HELP.help)}`),
    ...verbs.flatMap((verb) => [
      complete("none", `-a ${verb.name} -d ${quoted(verb.about)}`),
      ...optionsOf(verb).map(({ name, valued, help }) =>
        complete(verb.name, `-l ${name}${valued ? " -x" : ""} -d ${quoted(help)}`)
      ),
      ...placesOf(verb).flatMap((place, at) => {
        const last = at === placesOf(verb).length - 1;
        const here = `${verb.name} ${at}${last ? " more" : ""}`;
        if (place === "files") return [complete(here, "-F")];
        if (place === "cards") {
          return [complete(here, `-a "($command completion ${CARD_NAMES} 2>/dev/null)"`)];
        }
        return place.length > 0 ? [complete(here, `-a ${quoted(place.join(" "))}`)] : [];
      }),
    ]),
    "end",
  );
}

/** `__knightsbridge_at VERB [PLACE [more]]`: whether the cursor is behind VERB, at that operand or, with "more", a later one. */
const fishWalk = (verbs: readonly Verb[]): string[] => [
  "function __knightsbridge_at",
  "  set -l verb none; set -l place 0; set -l value no",
  "  for word in (commandline -opc)[2..-1]",
  "    if test $value = yes; set value no; continue; end",
  "    switch $word",
  `      case ${valuedOptions(verbs).join(" ")}; set value yes`,
  ...verbs.filter(({ short }) => short).map(({ name, short }) =>
    `      case -${short}; test $verb = none; and set verb ${name}`
  ),
  "      case '-*'",
  "      case '*'; if test $verb = none; set verb $word; else; set place (math $place + 1); end",
  "    end",
  "  end",
  '  test $verb = "$argv[1]"; or return',
  "  set -q argv[2]; or return 0",
  "  test $place = $argv[2]; or set -q argv[3]; and test $place -ge $argv[2]",
  "end",
];

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join("");
const firstLine = (text: string): string => text.split("\n")[0]!;
/** In single quotes, for any of the shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", "’")}'`;

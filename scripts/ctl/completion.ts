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

/** `case` lines that set `found` for each verb and place; `cards` is the command that prints the names. */
const shellCases = (verbs: readonly Verb[], cards: string): string[] =>
  verbs.flatMap((verb) => {
    const options = optionsOf(verb).map(({ name }) => `--${name}`).join(" ");
    const places = placesOf(verb).map((place, at) => {
      const words = place === "cards" ? `$(${cards})` : place === "files" ? "" : place.join(" ");
      const last = at === placesOf(verb).length - 1;
      return `        ${last ? "*" : at}) found="$found ${words}" ;;`;
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
    '  local verb="" place=0 at found',
    ...shellWalk(verbs, "COMP_WORDS", 1, "COMP_CWORD"),
    "  case $verb in",
    `    "") found="${names} --control --help" ;;`,
    ...shellCases(verbs, `"\${COMP_WORDS[0]}" completion ${CARD_NAMES} 2>/dev/null`),
    "  esac",
    "  # After an option that takes a value there is nothing to offer.",
    "  if ((at > COMP_CWORD)); then COMPREPLY=(); return; fi",
    '  COMPREPLY=($(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}"))',
    "}",
    `complete -F _knightsbridge_ctl ${COMMANDS}`,
  );
}

function zsh(verbs: readonly Verb[]): string {
  const described = verbs.map(({ name, about }) => `    ${quoted(`${name}:${about}`)}`);
  return lines(
    `#compdef ${COMMANDS}`,
    "# Completion of knightsbridge ctl for zsh: source this file, after compinit.",
    "_knightsbridge_ctl() {",
    '  local verb="" found; local -i place=0 at; local -a verbs',
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
    "}",
    `compdef _knightsbridge_ctl ${COMMANDS}`,
  );
}

function fish(verbs: readonly Verb[]): string {
  const all = verbs.map(({ name }) => name).join(" ");
  const none = `not __fish_seen_subcommand_from ${all}`;
  return lines(
    "# Completion of knightsbridge ctl for fish: source this file.",
    `for command in ${COMMANDS}`,
    "  complete -c $command -f",
    `  complete -c $command -n ${quoted(none)} -l control -r -d ${
      quoted(firstLine(COMMON_OPTIONS.control.help))
    }`,
    ...verbs.flatMap((verb) => {
      const seen = quoted(`__fish_seen_subcommand_from ${verb.name}`);
      return [
        `  complete -c $command -n ${quoted(none)} -a ${verb.name} -d ${quoted(verb.about)}`,
        ...optionsOf(verb).map(({ name, valued, help }) =>
          `  complete -c $command -n ${seen} -l ${name}${valued ? " -r" : ""} -d ${quoted(help)}`
        ),
        ...placesOf(verb).flatMap((place) =>
          place === "cards"
            ? [
              `  complete -c $command -n ${seen} -a "($command completion ${CARD_NAMES} 2>/dev/null)"`,
            ]
            : place === "files"
            ? [`  complete -c $command -n ${seen} -F`]
            : place.length > 0
            ? [`  complete -c $command -n ${seen} -a ${quoted(place.join(" "))}`]
            : []
        ),
      ];
    }),
    "end",
  );
}

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join("");
const firstLine = (text: string): string => text.split("\n")[0]!;
/** In single quotes, for any of the shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", "’")}'`;

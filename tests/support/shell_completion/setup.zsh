# An interactive zsh without a user's settings, which writes down in $OUT what it offers at Tab, and "end" after it.
PS1=
compadd() {
  # With these options it makes lists, and offers nothing.
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then
    builtin compadd "$@"
    return
  fi
  local -a hits
  builtin compadd -A hits "$@"
  print -rl -- $hits >> $OUT
  builtin compadd "$@"
}
complete_and_end() {
  _main_complete "$@"
  print end >> $OUT
}
zle -C complete-and-end list-choices complete_and_end
bindkey '^I' complete-and-end
autoload -Uz compinit

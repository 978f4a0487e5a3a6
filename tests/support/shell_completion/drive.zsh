# drive.zsh SETUP LINE...: what an interactive zsh that has read SETUP offers for each LINE, and "end" after each.
# SETUP has what is asked written down in $OUT.
zmodload zsh/zpty zsh/zselect
export OUT=$(mktemp)
zpty shell zsh -f -i

# Prints what was written down until its last line is $1. What the shell shows is read, or it would stand still.
until_said() {
  until [[ $(tail -n 1 $OUT) == $1 ]]; do
    zpty -r -t shell shown
    zselect -t 2
  done
  cat $OUT
  : > $OUT
}

zpty -w shell "source $1; print ready >> \$OUT"
until_said ready > /dev/null
shift
for line; do
  # Ctrl-U takes away the line before.
  zpty -w -n shell $'\C-u'$line$'\t'
  until_said end
done
zpty -d shell
rm $OUT

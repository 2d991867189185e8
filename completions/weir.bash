# SPDX-License-Identifier: MIT
# Completion of weir's words in bash.

_weir_flags='--null --header --json --link --fill --pipe --shell --no-shell --group --line-buffer
    --ungroup --keep-order --tag --resume --resume-failed --retry-failed --bar --no-bar --dry-run
    --verbose --quiet --help'
_weir_valued='--arg-file --delimiter --colsep --max-args --block --replace --jobs --tagstring
    --results --retries --backoff --retry-on --halt --timeout --kill-after --deadline --grace
    --joblog --log --delay --rate --load --memfree --breaker --nice --progress --metrics --trace'

# Whether the option's value is the next word.
_weir_takes_next() {
    case $1 in
    --*=*) return 1 ;;
    --*) [[ " "${_weir_valued//$'\n'/ }" " == *" $1 "* ]] ;;
    -[0Xkuvqh]*[adCnIj] | -[adCnIj]) return 0 ;;
    *) return 1 ;;
    esac
}

# What an option's value may be.
_weir_value() {
    case $1 in
    -a | --arg-file | -j | --jobs | --joblog | --log | --progress | --metrics | --trace)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    --results)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$2")
        ;;
    --halt)
        compopt -o nospace 2>/dev/null
        local ways='now,fail= now,success= now,done= soon,fail= soon,success= soon,done='
        mapfile -t COMPREPLY < <(compgen -W "$ways" -- "$2")
        ;;
    --retry-on) mapfile -t COMPREPLY < <(compgen -W 'signal timeout' -- "$2") ;;
    *) COMPREPLY=() ;;
    esac
}

_weir_run() {
    local current=${COMP_WORDS[COMP_CWORD]} word at=2
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        case $word in
        --) ((at++)) && break ;;
        -?*) ;;
        *) break ;;
        esac
        if [[ ${COMP_WORDS[at + 1]-} == = ]]; then # --name=value is three words to bash
            ((at + 2 >= COMP_CWORD)) && _weir_value "$word" "${current#=}" && return
            ((at += 3))
        elif _weir_takes_next "$word"; then
            ((at + 1 == COMP_CWORD)) && _weir_value "$word" "$current" && return
            ((at += 2))
        else
            ((at++))
        fi
    done
    if ((at < COMP_CWORD)); then # a word of the command, or an input
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    elif [[ $current == -* && ${COMP_WORDS[COMP_CWORD - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_weir_flags $_weir_valued" -- "$current")
    elif [[ $current == */* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    fi
}

_weir() {
    local current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W 'run help version --help --version' -- "$current")
    elif [[ ${COMP_WORDS[1]} == run ]]; then
        _weir_run
    elif [[ ${COMP_WORDS[1]} == help && COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'run help version' -- "$current")
    fi
}

complete -F _weir weir

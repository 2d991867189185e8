# SPDX-License-Identifier: MIT
# Completion of weir's words in bash.

_weir_run_flags='--null --header --json --link --fill --pipe --shell --no-shell --group
    --line-buffer --ungroup --keep-order --tag --resume --resume-failed --retry-failed --bar
    --no-bar --dry-run --verbose --quiet --help'
_weir_run_valued='--arg-file --delimiter --colsep --max-args --block --replace --jobs --tagstring
    --results --retries --backoff --retry-on --halt --timeout --kill-after --deadline --grace
    --joblog --log --delay --rate --load --memfree --breaker --nice --progress --metrics --trace'
_weir_push_flags='--null --header --json --link --quiet --help'
_weir_push_valued='--arg-file --delimiter --colsep --key --remember --limit --delay --at --retries
    --backoff'
_weir_work_flags='--drain --null --header --json --pipe --shell --no-shell --group --line-buffer
    --ungroup --tag --bar --no-bar --verbose --quiet --help'
_weir_work_valued='--lease --delimiter --colsep --replace --jobs --tagstring --results --retries
    --backoff --retry-on --halt --timeout --kill-after --deadline --grace --joblog --log --delay
    --rate --load --memfree --breaker --nice --progress --metrics --trace'
_weir_jobs_flags='--watch --json --metrics --help'
_weir_jobs_valued=''

# Whether the option's value is the next word. `valued` is the caller's.
_weir_takes_next() {
    case $1 in
    --*=*) return 1 ;;
    --*) [[ " "${valued//$'\n'/ }" " == *" $1 "* ]] ;;
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

_weir_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Goes on behind the options that begin at word `at`. Returns 1 if it has completed a value.
_weir_skip_options() {
    local word
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        case $word in
        --) ((at++)) && break ;;
        -?*) ;;
        *) break ;;
        esac
        if [[ ${COMP_WORDS[at + 1]-} == = ]]; then # --name=value is three words to bash
            ((at + 2 >= COMP_CWORD)) && _weir_value "$word" "${current#=}" && return 1
            ((at += 3))
        elif _weir_takes_next "$word"; then
            ((at + 1 == COMP_CWORD)) && _weir_value "$word" "$current" && return 1
            ((at += 2))
        else
            ((at++))
        fi
    done
    return 0
}

# Goes on behind the URL, which is several words to bash.
_weir_skip_url() {
    while ((at < COMP_CWORD)) && [[ ${COMP_WORDS[at + 1]-} == [:=@]* ]] &&
        [[ ${COMP_WORDS[at + 1]} != :::* ]]; do
        ((at += 2))
    done
    ((at++))
}

# What may stand here: an option, or what comes behind them.
_weir_option_or() {
    if [[ $current == -* && ${COMP_WORDS[COMP_CWORD - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags $valued" -- "$current")
    elif [[ $1 == words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$2" -- "$current")
    elif [[ $1 == file || $current == */* ]]; then
        _weir_files "$current"
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    fi
}

_weir_run() {
    if ((at < COMP_CWORD)); then # a word of the command, or an input
        _weir_files "$current"
    else
        _weir_option_or command
    fi
}

# push, work and jobs: a URL, more options, the rest.
_weir_queue() {
    if ((at >= COMP_CWORD)); then
        _weir_option_or words 'redis:// redis+unix:///'
        return
    fi
    _weir_skip_url
    ((at > COMP_CWORD)) && return
    _weir_skip_options || return
    local actions='dead pause resume cancel'
    case $1:$((COMP_CWORD - at)):${COMP_WORDS[at]-} in
    jobs:0:*) _weir_option_or words "$actions" ;;
    jobs:1:dead) mapfile -t COMPREPLY < <(compgen -W 'retry drop' -- "$current") ;;
    jobs:*) COMPREPLY=() ;;
    work:0:*) _weir_option_or command ;;
    push:0:*) _weir_option_or file ;;
    *) _weir_files "$current" ;;
    esac
}

_weir_subcommand() {
    local current=${COMP_WORDS[COMP_CWORD]} at=2
    local flags_of=_weir_$1_flags valued_of=_weir_$1_valued
    local flags=${!flags_of} valued=${!valued_of}
    _weir_skip_options || return
    case $1 in
    run) _weir_run ;;
    *) _weir_queue "$1" ;;
    esac
}

_weir() {
    local current=${COMP_WORDS[COMP_CWORD]} subcommands='run push work jobs help version'
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$subcommands --help --version" -- "$current")
    elif [[ ${COMP_WORDS[1]} == @(run|push|work|jobs) ]]; then
        _weir_subcommand "${COMP_WORDS[1]}"
    elif [[ ${COMP_WORDS[1]} == help && COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$subcommands" -- "$current")
    fi
}

complete -F _weir weir

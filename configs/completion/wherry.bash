# Completion of wherry(1) for bash. Installed as /usr/share/bash-completion/completions/wherry, or sourced.
# unit_cli compares it with what wherry --help says.

# _wherry_commands [COMMAND]: those of the program, or the inner ones of a command.
_wherry_commands() {
  case ${1-} in
    '') echo status list get why logs events restart stop start exec apply plan validate sign images metrics check support-bundle version ;;
    images) echo list import pull prune ;;
  esac
}

# _wherry_options [COMMAND [INNER]]
_wherry_options() {
  case "$*" in
    '') echo -h --help --version --socket ;;
    status | list | get | why | restart | stop | start | images | version) echo -h --help -o --output ;;
    logs) echo -h --help -c --container -f --follow --tail --since --until --pattern --timestamps ;;
    events) echo -h --help -o --output --after -f --follow ;;
    exec) echo -h --help -o --output -c --container --timeout ;;
    apply | validate) echo -h --help -o --output -f --file ;;
    plan) echo -h --help -o --output -f --file --source ;;
    sign) echo -h --help -f --file --key --kid ;;
    check) echo -h --help -o --output --config ;;
    support-bundle) echo -h --help -o --output -f --file --logs --config ;;
    *) echo -h --help ;;
  esac
}

# Names of the workloads on this device; nothing where the daemon is not there.
_wherry_workloads() {
  local arguments=()
  [ -z "${1-}" ] || arguments=(--socket "$1")
  wherry "${arguments[@]}" list 2>/dev/null | awk 'NR > 1 && NF == 0 { exit } NR > 1 { print $1 }'
}

_wherry() {
  # Bash makes three words of --option=value.
  local words=() i
  for ((i = 0; i < COMP_CWORD; i++)); do
    if [ "${COMP_WORDS[i]}" != = ]; then words+=("${COMP_WORDS[i]}"); fi
  done
  local word=${COMP_WORDS[COMP_CWORD]} before=${words[-1]}
  [ "$word" != = ] || word=''
  local command='' inner='' socket='' places=0
  for ((i = 1; i < ${#words[@]}; i++)); do
    case ${words[i]} in
      --) return ;;  # what follows is another program's
      --socket) socket=${words[++i]-} ;;
      -o | --output | -c | --container | --tail | --since | --until | --pattern | --after | --timeout | --kid | --source) ((++i)) ;;
      -f | --file | --key | --config)
        # For these two commands -f is a switch.
        case "${words[i]} $command" in '-f logs' | '-f events') ;; *) ((++i)) ;; esac
        ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then
          command=${words[i]}
        elif [ "$command" = images ] && [ -z "$inner" ]; then
          inner=${words[i]}
        else
          ((++places))
        fi
        ;;
    esac
  done

  COMPREPLY=()
  case $before in
    -o | --output) mapfile -t COMPREPLY < <(compgen -W 'table json yaml' -- "$word"); return ;;
    --socket | --file | --key | --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    -f)
      case $command in
        apply | plan | validate | sign | support-bundle)
          compopt -o filenames 2>/dev/null
          mapfile -t COMPREPLY < <(compgen -f -- "$word")
          return
          ;;
      esac
      ;;
    -c | --container | --tail | --since | --until | --pattern | --after | --timeout | --kid | --source) return ;;
  esac
  if [[ $word == -* ]]; then
    local arguments=()
    [ -z "$command" ] || arguments=("$command")
    [ -z "$inner" ] || arguments+=("$inner")
    local options
    options=$(_wherry_options "${arguments[@]}")
    [ -z "$command" ] || options+=' --socket'
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  case "$command $inner" in
    ' ') mapfile -t COMPREPLY < <(compgen -W "$(_wherry_commands)" -- "$word") ;;
    'images ') mapfile -t COMPREPLY < <(compgen -W "$(_wherry_commands images)" -- "$word") ;;
    'images import') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    'get ' | 'why ' | 'logs ' | 'events ' | 'restart ' | 'stop ' | 'start ' | 'exec ')
      [ "$places" -eq 0 ] || return
      mapfile -t COMPREPLY < <(compgen -W "$(_wherry_workloads "$socket")" -- "$word")
      ;;
  esac
}

complete -F _wherry wherry

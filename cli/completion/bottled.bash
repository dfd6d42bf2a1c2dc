# bash completion for bottled
_bottled() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} words i
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run exec ls inspect logs top suggest audit stop routes proposals approve deny mcp doctor daemon completion version help" -- "$cur"))
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then # what follows is the command in the bottle
			COMPREPLY=($(compgen -c -f -- "$cur"))
			return
		fi
	done
	case $prev in
	--manifest | --socket | --audit-log | --from) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--dir | --state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--user) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	--env) COMPREPLY=($(compgen -e -- "$cur")); return ;;
	--bottle) COMPREPLY=($(compgen -W "$(_bottled_names)" -- "$cur")); return ;;
	--log-level) COMPREPLY=($(compgen -W "debug info warn error" -- "$cur")); return ;;
	--interval | --metrics | --name | --grace | --method | --note | --reason) return ;;
	esac
	case $cmd in
	run) words="--manifest --name --dir --env -t -T --detach --learn --user --resolver --socket" ;;
	exec) words="--dir --env -t -T --socket $(_bottled_names)" ;;
	ls) words="--all --json --socket" ;;
	inspect) words="--json --socket $(_bottled_names)" ;;
	logs) words="-f --bottle --denied --json --socket" ;;
	top) words="--once --interval --socket" ;;
	suggest) words="--from --socket $(_bottled_names)" ;;
	audit) words="verify" ;;
	stop) words="--grace --socket $(_bottled_names)" ;;
	routes) words="check explain show update --manifest --method --bottle --json --socket $(_bottled_names)" ;;
	proposals) words="--all --watch --json --socket" ;;
	approve) words="--note --socket $(_bottled_proposals)" ;;
	deny) words="--reason --socket $(_bottled_proposals)" ;;
	doctor | version) words="--json --socket" ;;
	daemon) words="--socket --state-dir --audit-log --audit-size --metrics --resolver --policy --log-level" ;;
	completion) words="bash zsh fish" ;;
	help) words="run exec ls inspect logs top suggest audit stop routes proposals approve deny mcp doctor daemon completion version" ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[[ $cmd == routes || $cmd == audit ]] && COMPREPLY+=($(compgen -f -- "$cur"))
}
_bottled_names() { bottled ls 2>/dev/null | awk 'NR > 1 { print $1 }'; }
_bottled_proposals() { bottled proposals 2>/dev/null | awk '/^[^ ]/ { print $1 }'; }
complete -F _bottled bottled

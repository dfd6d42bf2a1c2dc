#compdef bottled
_bottled_names() {
	local -a names
	names=(${(f)"$(bottled ls 2>/dev/null | awk 'NR > 1 { print $1 }')"})
	compadd -a names
}
_bottled_proposals() {
	local -a names
	names=(${(f)"$(bottled proposals 2>/dev/null | awk '/^[^ ]/ { print $1 }')"})
	compadd -a names
}
_bottled() {
	local curcontext=$curcontext state line
	local socket='--socket[socket of the daemon]:socket:_files'
	local json='--json[print JSON]'
	local dir='--dir[working directory]:directory:_directories'
	local env='*--env[set or pass a variable]:variable:_parameters'
	if ((CURRENT == 2)); then
		local -a commands=(
			'run:run a command in a new bottle'
			'exec:run one more command in a bottle'
			'ls:list bottles'
			'inspect:tell everything about a bottle'
			'logs:show what bottles asked for and got'
			'top:watch bottles'
			'suggest:write the manifest that would have allowed what was refused'
			'audit:verify an audit log'
			'stop:stop bottles'
			'routes:check, explain, show and update route tables'
			'proposals:show what agents propose'
			'approve:put a proposal in force'
			'deny:refuse a proposal, with a reason'
			'mcp:offer the tools of the agent on standard input and output'
			'doctor:tell what this host offers and lacks'
			'daemon:serve the API'
			'completion:print a completion script'
			'version:print the version'
			'help:tell how to use a command'
		)
		_describe command commands
		return
	fi
	local command=${words[2]}
	shift words
	((CURRENT--))
	case $command in
	run) _arguments '--resolver[DNS server of the enforcer]:address:' '--manifest[the manifest]:file:_files' '--name[name of the bottle]:name:' $dir $env \
		'-t[with a terminal]' '-T[without a terminal]' '--detach[leave it running]' '--learn[record what was refused]' \
		'--user[run as]:user:_users' $socket '*:::command:_normal' ;;
	exec) _arguments $dir $env '-t[with a terminal]' '-T[without a terminal]' $socket '1:bottle:_bottled_names' '*:::command:_normal' ;;
	ls) _arguments '--all[those that ended, too]' $json $socket ;;
	inspect) _arguments $json $socket '1:bottle:_bottled_names' ;;
	logs) _arguments '-f[go on with what comes]' '--bottle[of this bottle]:bottle:_bottled_names' '--denied[what was denied]' $json $socket ;;
	top) _arguments '--once[one table]' '--interval[time between two looks]:time:' $socket ;;
	suggest) _arguments '--from[file of events]:file:_files' $socket '1:bottle:_bottled_names' ;;
	audit) _arguments '1:what:(verify)' '*:file:_files' ;;
	stop) _arguments '--grace[seconds]:seconds:' $socket '*:bottle:_bottled_names' ;;
	routes) _arguments '1:what:(check explain show update)' '--manifest[the manifest]:file:_files' \
		'--method[of the request]:method:(GET HEAD POST PUT PATCH DELETE)' \
		'--bottle[live table of]:bottle:_bottled_names' $json $socket '*:file:_files' ;;
	proposals) _arguments '--all[those that are decided, too]' '--watch[go on and show new ones]' $json $socket ;;
	approve) _arguments '--note[what to tell the agent]:text:' $socket '1:proposal:_bottled_proposals' ;;
	deny) _arguments '--reason[what to tell the agent]:text:' $socket '1:proposal:_bottled_proposals' ;;
	mcp) ;;
	doctor | version) _arguments $json $socket ;;
	daemon) _arguments $socket '--resolver[DNS server of enforcers]:address:' '--state-dir[state]:directory:_directories' '--audit-log[audit log]:file:_files' '--audit-size[most that it takes of the disk]:MiB:' '--metrics[loopback address of metrics]:address:' '--policy[policy of the operator]:file:_files' \
		'--log-level[least level]:level:(debug info warn error)' ;;
	completion) _arguments '1:shell:(bash zsh fish)' ;;
	help) _arguments '1:command:(run exec ls inspect logs top suggest audit stop routes proposals approve deny mcp doctor daemon completion version)' ;;
	esac
}
if [[ $funcstack[1] == _bottled ]]; then _bottled "$@"; else compdef _bottled bottled; fi

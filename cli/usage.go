package cli

const usage = `bottled runs programs in bottles: a bottle reaches exactly what its route table
allows, whatever runs in it, and nothing else.

Usage:
  sudo bottled                                   serve bottles to the host's users
  bottled run --manifest FILE -- COMMAND         run a command in a bottle
  bottled COMMAND --help                         more about one of these:

%s
Without a daemon, "sudo bottled run" serves itself for that one bottle.
`

const usageRun = `Usage: bottled run [FLAGS] [--] COMMAND [ARG]...

Runs COMMAND in a new bottle and ends with its status. The bottle sees this host
read-only, can write to the working directory, and reaches what the manifest allows.

  --manifest FILE   the manifest, YAML or JSON; without it the bottle reaches the
                    default hosts alone. A bottled.yaml in the working directory is
                    not picked up by itself, because the bottle can write it.
  --name NAME       a name to call the bottle by (a-z, 0-9, "-"); default: made up
  --dir DIR         the working directory, writable inside; default: this one
  --env K=V         set a variable inside; --env K passes the one of that name.
                    By themselves only these go in: PATH HOME USER LOGNAME SHELL
                    LANG LANGUAGE LC_* TERM TZ COLORTERM NO_COLOR CLICOLOR
                    CLICOLOR_FORCE FORCE_COLOR CI EDITOR VISUAL PAGER LESS.
                    A variable that holds a token of the manifest never does.
  -t, -T            with, without a terminal; default: with one where standard
                    input and output are
  --detach          print the bottle's id and leave it running
  --learn[=FILE]    record what was refused, for bottled suggest; nothing more is let
                    through. Default: a new file in the directory for temporary ones
  --user NAME       (root only) run as this user; default: who called sudo, else
                    an unprivileged uid of the bottle's own
  --resolver A:P    (root, without a daemon) the DNS server that upstream names are
                    looked up at; default: the host's
  --socket PATH     the daemon's socket; default: $BOTTLED_SOCKET, else
                    /run/bottled/bottled.sock

A token_ref of the manifest that names a variable is read from this environment,
and its value goes to the enforcer, not into the bottle.

Exit status: the command's; 128+n if signal n ended it; 125 if bottled failed, 126
if COMMAND cannot be executed, 127 if there is no such command. INT, TERM, HUP,
QUIT, USR1, USR2, TSTP and CONT are passed on to the command, which ends with this
program.
`

const usageExec = `Usage: bottled exec [FLAGS] BOTTLE [--] COMMAND [ARG]...

Runs one more command in a bottle, which is given by name or id, under the same
table. It ends with the command's status; 125, 126 and 127 are as with run.

  --dir DIR       the directory to run in; default: the bottle's
  --env K=V       set a variable; --env K passes the one of that name
  -t, -T          with, without a terminal; default: with one where standard input
                  and output are
  --socket PATH   the daemon's socket
`

const usageLs = `Usage: bottled ls [--all] [--json]

Lists your bottles, or everybody's for root.

  --all           those that have ended, too
  --json          print what the API says
  --socket PATH   the daemon's socket
`

const usageInspect = `Usage: bottled inspect [--json] BOTTLE

Tells everything about a bottle: its state, its table, and the kernel's own view of
its walls, read at this moment.

  --json          print what the API says
  --socket PATH   the daemon's socket
`

const usageStop = `Usage: bottled stop [--grace SECONDS] BOTTLE...

Stops bottles: SIGTERM to the command, SIGKILL to all that is left. Stopping one that is
not there is a success.

  --grace SECONDS   how long the command may take, 0 to 300; default 10
  --socket PATH     the daemon's socket
`

const usageLogs = `Usage: bottled logs [-f] [--bottle BOTTLE] [--denied] [--json]

Shows what your bottles asked for and got, or everybody's for root: what the daemon
remembers, which is the last 256 allowed and the last 256 denied events of each. All
of it is in the daemon's audit log, if it has one.

  -f                go on with what comes
  --bottle BOTTLE   of this bottle only
  --denied          what was denied only, refusals by the kernel included
  --json            one event a line, as the audit log has it, in ASCII
  --socket PATH     the daemon's socket
`

const usageTop = `Usage: bottled top [--once] [--interval TIME]

Shows your running bottles, or everybody's for root: connections, rates of requests
and denials, and bytes. An interrupt ends it.

  --once            print one table and end
  --interval TIME   between two looks, such as 500ms; default 2s
  --socket PATH     the daemon's socket
`

const usageSuggest = `Usage: bottled suggest BOTTLE
       bottled suggest --from FILE

Prints the smallest manifest that would have allowed what a bottle was refused, with
comments that say which program asked, and how often. It names no wildcard, and nothing
that no manifest may allow. Read it before you use it: a bottle can ask for any host.

  --from FILE     take the refusals from a file of events: that of a learning run,
                  what logs printed as JSON, or an audit log
  --socket PATH   the daemon's socket
`

const usageAudit = `Usage: bottled audit verify FILE...

Checks the hash chain of an audit log and names the first line that was changed,
removed or added. Give the files of a rotated log oldest first; a single file is taken
with the older ones beside it (FILE.1, FILE.2, …). Status 0 or 1. That the newest lines
are missing shows only against a hash that was written down elsewhere.
`

const usageRoutes = `Usage: bottled routes check FILE
       bottled routes explain --manifest FILE [--method METHOD] URL
       bottled routes show FILE
       bottled routes show --bottle BOTTLE
       bottled routes update --manifest FILE BOTTLE

check     says what is wrong with a manifest, by line, and what is allowed and worth
          a second look. Status 0 or 1.
explain   says whether a request would be allowed, by which route, or why not.
          Status 0 if it is allowed, 1 if not, 2 if the question makes no sense.
show      prints the effective table of a manifest, or the live one of a bottle.
update    replaces a bottle's table; connections of routes that go are cut.

  --method METHOD   default GET
  --json            (show) print JSON
  --socket PATH     the daemon's socket
`

const usageDoctor = `Usage: bottled doctor [--json]

Tells which features of the kernel bottles need, which are there, and what to do
about those that are not. Status 1 if a required one is missing.

  --json          print what the API says
  --socket PATH   the daemon's socket
`

const usageProposals = `Usage: bottled proposals [--all] [--watch] [--json]

Shows what the agents in your bottles propose, or in everybody's for root, and how to
name each in approve and deny.

  --all           those that are decided, too
  --watch         go on and show new ones
  --json          print what the API says, one object each
  --socket PATH   the daemon's socket
`

const usageApprove = `Usage: bottled approve [--note TEXT] BOTTLE/NUMBER

Puts a proposal in force in the bottle that runs, and tells its agent. A proposal that
changes the bottle itself needs a new launch; approving it tells the agent so.

  --note TEXT     what to tell the agent
  --socket PATH   the daemon's socket
`

const usageDeny = `Usage: bottled deny --reason TEXT BOTTLE/NUMBER

Refuses a proposal and tells its agent why.

  --reason TEXT   what to tell the agent
  --socket PATH   the daemon's socket
`

const usageMCP = `Usage: bottled mcp

Inside a bottle: offers the tools of http://_egress-proxy.local/mcp on standard input
and output, for agents that start their MCP servers as commands.
`

const usageDaemon = `Usage: sudo bottled [daemon] [FLAGS]

Serves bottles over a Unix socket to root and to the members of group "bottled".
SIGTERM and SIGINT end it; bottles go on without it.

  --socket PATH      where to listen; default /run/bottled/bottled.sock. A socket
                     that the service manager passes goes before it.
  --state-dir DIR    where to keep what outlives the daemon; default /run/bottled
  --audit-log FILE   where to write what bottles asked for and got
  --audit-size MIB   what that file and the four older ones beside it take of the disk
                     at most; default 320
  --metrics A:P      a loopback address and port to show metrics at (GET /metrics);
                     default: the API alone has them (GET /v1/metrics)
  --resolver A:P     the DNS server that upstream names are looked up at; default:
                     the host's
  --policy FILE      what no manifest may ask for, and whose tokens the operator
                     holds; default /etc/bottled/policy.yaml if it is there. SIGHUP
                     has it read again; one that is broken changes nothing.
  --log-level LEVEL  debug, info, warn or error; default info
`

const usageCompletion = `Usage: bottled completion bash|zsh|fish

Prints a completion script:

  bash   source <(bottled completion bash)
  zsh    bottled completion zsh > "${fpath[1]}/_bottled"
  fish   bottled completion fish > ~/.config/fish/completions/bottled.fish
`

const usageVersion = `Usage: bottled version [--json]

Prints the version of this program, and of the daemon if one listens.

  --json          print both as JSON
  --socket PATH   the daemon's socket
`

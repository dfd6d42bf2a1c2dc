// Package filesystem builds what a bottle sees as its file system: the host,
// read-only, with our own files on top, scratch space where programs expect to
// write, and one real place to work in.
//
//	/                the host's root, an overlay without an upper layer: read-only
//	other disks      the same each, at their place; what can not be overlaid is empty
//	the home         an overlay whose upper layer is scratch: writes last as long as the bottle
//	Dir, Writable    the host's own directories, bound read-write
//	Hidden           not there; nor is anything in the table [Credentials]
//	Files            laid over the host's tree
//	/tmp /var/tmp /run /dev /dev/shm /dev/pts /proc /sys   the bottle's own
//
// All of it is nosuid, and nodev but for /dev. All scratch space is one tmpfs
// with one limit.
//
// # Why overlays and not read-only binds
//
// A read-only bind still shows the host's inodes, and connect(2) on a Unix socket
// and open(2) on a FIFO need no writable mount: the host's Docker, D-Bus or agent
// socket would be one path away. An overlay inode is an inode of its own; the
// kernel looks sockets up by inode (net/unix/af_unix.c, unix_find_bsd), finds
// nobody bound to it and answers ECONNREFUSED, whatever the path. And an overlay
// takes our files as a second lower layer, so that laying a file over
// /etc/resolv.conf or hiding ~/.ssh (a whiteout) needs no mount each.
//
// What the host changes below a running bottle may or may not be seen in it
// (Linux leaves that open for overlays), except in Dir and Writable.
//
// # Who resolves which path
//
// Dir and Writable come from a user. They are opened with that user's
// permissions, once, and only the descriptor is mounted; inside the new tree a
// target is found with openat2(2) below its root and without following symbolic
// links. A link that changes meanwhile leads to an error and to nothing else.
//
// The steps run as root in the bottle's first process, in a mount namespace of
// its own, before it drops anything.
package filesystem

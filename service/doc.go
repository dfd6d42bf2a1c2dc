// Package service has tests only: the daemon as a unit of a real systemd, booted in
// namespaces of the test's own by scripts/sysdbox.
package service

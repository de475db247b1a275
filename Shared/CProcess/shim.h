// SPDX-License-Identifier: Apache-2.0
// Starts a program that ends with its parent: fork(2) is not for Swift, and prctl(2) is variadic, so neither imports.
#ifndef MARTLET_CPROCESS_SHIM_H
#define MARTLET_CPROCESS_SHIM_H
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

// What a child that could not become its program exits with, as a shell has it.
enum { MARTLET_EXEC_FAILED = 127 };

// Starts `path` with no signal blocked, empty standard input and a process group of its own, so that a Ctrl-C at the
// terminal reaches the parent alone. It gets SIGTERM when the calling *thread* ends. Returns its number, or -1 and errno.
// The caller has one thread: between fork and exec the child makes system calls only.
static inline pid_t martlet_spawn(const char *path, char *const arguments[], char *const environment[]) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child != 0) return child;
    // A parent that ended before prctl sends nothing any more.
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) _exit(MARTLET_EXEC_FAILED);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const int input = open("/dev/null", O_RDONLY);
    if (input >= 0) {
        dup2(input, STDIN_FILENO);
        if (input != STDIN_FILENO) close(input);
    }
    execve(path, arguments, environment);
    _exit(MARTLET_EXEC_FAILED);
}
#endif

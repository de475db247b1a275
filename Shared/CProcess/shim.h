// SPDX-License-Identifier: Apache-2.0
// Starts a program that ends with its parent: fork(2) is not for Swift, and prctl(2) is variadic, so neither imports.
#ifndef MARTLET_CPROCESS_SHIM_H
#define MARTLET_CPROCESS_SHIM_H
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

// What a process is started with besides its program.
struct martlet_process_plan {
    const char *folder;
    int output;
    int error;
    // What it gets when the calling *thread* ends.
    int death_signal;
    // Bounds of address space (0: none) and of open files.
    unsigned long long address_space;
    unsigned long long files;
    // Who it runs as; 0: as this process.
    uid_t user;
    gid_t group;
};

// Starts a program in a session and process group of its own, standard output and error to the plan's descriptors, no
// other descriptor open. Returns its number, or -1 and errno. Between fork and exec the child makes system calls only, so
// the caller may have many threads.
static inline pid_t martlet_spawn_group(
    const char *path, char *const arguments[], char *const environment[], const struct martlet_process_plan *plan
) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child != 0) return child;
    // The plain system calls: the library's would ask the threads that this copy does not have.
    if (plan->user != 0
        && (syscall(SYS_setgroups, 1, &plan->group) != 0
            || syscall(SYS_setresgid, plan->group, plan->group, plan->group) != 0
            || syscall(SYS_setresuid, plan->user, plan->user, plan->user) != 0))
        _exit(MARTLET_EXEC_FAILED);
    // After that, since another user clears it.
    if (prctl(PR_SET_PDEATHSIG, plan->death_signal) != 0 || getppid() != parent) _exit(MARTLET_EXEC_FAILED);
    setsid();
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(plan->output, STDOUT_FILENO) < 0
        || dup2(plan->error, STDERR_FILENO) < 0 || syscall(SYS_close_range, 3u, ~0u, 0u) != 0
        || chdir(plan->folder) != 0)
        _exit(MARTLET_EXEC_FAILED);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max = plan->files;
    setrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max = plan->address_space;
    if (plan->address_space != 0) setrlimit(RLIMIT_AS, &limit);
    execve(path, arguments, environment);
    _exit(MARTLET_EXEC_FAILED);
}

// A descriptor that is ready to be read when the process has ended; -1 and errno.
static inline int martlet_pidfd(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0u); }
#endif

// Takes rights away from itself, in the order of its arguments, and becomes another program, which keeps none of them:
// `Confine --refuse ptrace,kcmp --user 65534 --limit nofile=64 -- granite serve …`. C, because seccomp filters and
// mount flags are arrays and structs of the kernel's headers.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROGRAM_LIMIT 64

/// The machine cannot do what was asked for: a test skips.
#define EXIT_IMPOSSIBLE 77

static void fail(const char *doing) {
    fprintf(stderr, "Confine: %s: %s\n", doing, strerror(errno));
    exit(EXIT_IMPOSSIBLE);
}

static void check(int result, const char *doing) {
    if (result != 0) fail(doing);
}

/// The system calls with which one process looks into another, and what else a container's profile refuses.
static const struct {
    const char *name;
    uint32_t number;
} calls[] = {
    {"ptrace", SYS_ptrace},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"kcmp", SYS_kcmp},
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"perf_event_open", SYS_perf_event_open},
    {"userfaultfd", SYS_userfaultfd},
    {"bpf", SYS_bpf},
};

/// Refuses the named calls with EPERM, for this process and all that come from it (seccomp(2), SECCOMP_SET_MODE_FILTER).
static void refuse(char *names) {
    struct sock_filter program[PROGRAM_LIMIT] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short length = 4;
    int refuses_reading = 0;
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        size_t index = 0;
        while (index < sizeof calls / sizeof *calls && strcmp(calls[index].name, name) != 0) index++;
        if (index == sizeof calls / sizeof *calls || length + 3 > PROGRAM_LIMIT) {
            fprintf(stderr, "Confine: cannot refuse %s\n", name);
            exit(64);
        }
        refuses_reading |= calls[index].number == SYS_process_vm_readv;
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[index].number, 0, 1);
        program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = length, .filter = program};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "setting no_new_privs");
    check((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "installing the seccomp filter");
    // Reading nothing of oneself is always allowed otherwise.
    if (refuses_reading && syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0) == 0) {
        fprintf(stderr, "Confine: process_vm_readv was not refused\n");
        exit(70);
    }
}

/// Gives up every capability in every set, also for programs to come (capabilities(7)).
static void drop_capabilities(void) {
    for (int number = 0; number <= CAP_LAST_CAP; number++) {
        if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM) fail("bounding set");
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    check((int)syscall(SYS_capset, &header, none), "dropping capabilities");
}

static void become(char *number) {
    uid_t user = (uid_t)strtoul(number, NULL, 10);
    check(setgroups(0, NULL), "setgroups");
    check(setresgid(user, user, user), "setresgid");
    check(setresuid(user, user, user), "setresuid");
}

static void leave_mounts(void) {
    check(unshare(CLONE_NEWNS), "a mount namespace of its own");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "keeping mounts private");
}

/// Every mount becomes read-only, but `folder` (mount_setattr(2)).
static void only_writable(const char *folder) {
    leave_mounts();
    check(mount(folder, folder, NULL, MS_BIND, NULL), "binding the writable folder");
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    check((int)syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes), "a read-only root");
    attributes = (struct mount_attr){.attr_clr = MOUNT_ATTR_RDONLY};
    check((int)syscall(SYS_mount_setattr, AT_FDCWD, folder, 0, &attributes, sizeof attributes), "the writable folder");
}

/// Nothing is to be found in `folder`.
static void hide(const char *folder) {
    leave_mounts();
    check(mount("none", folder, "tmpfs", MS_RDONLY, "size=4k,mode=0555"), "hiding a folder");
}

/// /proc shows a process nothing of processes of other users (proc(5), hidepid=invisible).
static void hide_processes(void) {
    leave_mounts();
    check(mount("proc", "/proc", "proc", 0, "hidepid=2"), "/proc with hidepid=2");
}

static void limit(char *text) {
    static const struct {
        const char *name;
        int resource;
    } limits[] = {
        {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC}, {"memlock", RLIMIT_MEMLOCK}, {"core", RLIMIT_CORE},
        {"sigpending", RLIMIT_SIGPENDING}, {"fsize", RLIMIT_FSIZE}, {"stack", RLIMIT_STACK},
    };
    char *value = strchr(text, '=');
    if (value) *value++ = 0;
    for (size_t index = 0; value && index < sizeof limits / sizeof *limits; index++) {
        if (strcmp(limits[index].name, text) != 0) continue;
        rlim_t number = strtoull(value, NULL, 10);
        struct rlimit both = {number, number};
        check(setrlimit(limits[index].resource, &both), text);
        return;
    }
    fprintf(stderr, "Confine: no limit is called %s\n", text);
    exit(64);
}

/// Joins a control group by writing to its cgroup.procs.
static void join(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%d\n", getpid()) < 0 || fclose(file) != 0) fail(path);
}

int main(int count, char **words) {
    int index = 1;
    for (; index < count && strcmp(words[index], "--") != 0; index++) {
        const char *option = words[index];
        if (strcmp(option, "--no-capabilities") == 0) {
            drop_capabilities();
        } else if (strcmp(option, "--hidepid") == 0) {
            hide_processes();
        } else if (index + 1 == count) {
            fprintf(stderr, "Confine: %s needs a value\n", option);
            return 64;
        } else if (strcmp(option, "--refuse") == 0) {
            refuse(words[++index]);
        } else if (strcmp(option, "--user") == 0) {
            become(words[++index]);
        } else if (strcmp(option, "--only-writable") == 0) {
            only_writable(words[++index]);
        } else if (strcmp(option, "--hide") == 0) {
            hide(words[++index]);
        } else if (strcmp(option, "--limit") == 0) {
            limit(words[++index]);
        } else if (strcmp(option, "--cgroup") == 0) {
            join(words[++index]);
        } else {
            fprintf(stderr, "Confine: unknown option %s\n", option);
            return 64;
        }
    }
    if (index + 1 >= count) {
        fprintf(stderr, "usage: Confine [option …] -- program [argument …]\n");
        return 64;
    }
    execv(words[index + 1], words + index + 1);
    fail(words[index + 1]);
}

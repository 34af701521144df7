/*
 * load: the timed loops of scripts/bench.
 *
 * A loop of system calls costs more in an interpreter than in some of the file systems measured,
 * so every measured thing runs from here: the loops themselves, and other programs between fork
 * and wait. Data is made before the clock starts. The one line on standard output is the time in
 * nanoseconds (CLOCK_MONOTONIC). Any failing call ends the program with status 1 and a sentence.
 *
 *   load write  FILE BYTES SEED fsync|nofsync   create, write 1 MiB at a time, close
 *   load read   FILE                            open, read 1 MiB at a time, close
 *   load check  FILE BYTES SEED                 compare with what write wrote; not a measurement
 *   load pread  FILE COUNT SEED                 random aligned 4 KiB reads
 *   load pwrite FILE COUNT SEED                 random aligned 4 KiB writes, then fsync
 *   load saves  DIR  COUNT SEED                 new temporary file, 2-8 KiB, fsync, rename over a note
 *   load rename DIR  COUNT SEED                 rename notes within their folders
 *   load sync   MOUNT STORE                     everything durable (see everything_durable)
 *   load run [-s MOUNT STORE] [-e STATUS] PROGRAM ARGS…   run it, then perhaps sync
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, PAGE = 4096 };

static void fail(const char *what, const char *on)
{
    fprintf(stderr, "load: %s %s: %s\n", what, on, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *must_alloc(size_t n)
{
    void *p = malloc(n);
    if (!p) {
        errno = ENOMEM;
        fail("cannot hold", "the data");
    }
    return p;
}

/* xoshiro256++ seeded by splitmix64 (Blackman and Vigna): incompressible, and never repeats here. */
static uint64_t s[4];

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static uint64_t next(void)
{
    uint64_t r = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotl(s[3], 45);
    return r;
}

static void seed(uint64_t x)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (x += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        s[i] = z ^ (z >> 31);
    }
}

static void fill(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t r = next();
        memcpy(p + i, &r, n - i < 8 ? n - i : 8);
    }
}

/* Words of small letters: what a note looks like to a program that asks whether it is text. */
static void fill_text(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t r = next() >> 33;
        p[i] = r % 6 == 0 ? ' ' : (unsigned char)('a' + r / 6 % 26);
    }
    p[n - 1] = '\n';
}

static void write_all(int fd, const unsigned char *p, size_t n, const char *path)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0) fail("cannot write", path);
        p += w, n -= (size_t)w;
    }
}

static void must_close(int fd, const char *path)
{
    if (close(fd)) fail("cannot close", path);
}

static uint64_t do_write(const char *path, size_t n, uint64_t sd, int sync)
{
    unsigned char *data = must_alloc(n);
    seed(sd), fill(data, n);
    uint64_t t = now();
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) fail("cannot create", path);
    for (size_t at = 0; at < n; at += BLOCK)
        write_all(fd, data + at, n - at < BLOCK ? n - at : BLOCK, path);
    if (sync && fsync(fd)) fail("cannot fsync", path);
    must_close(fd, path);
    return now() - t;
}

static uint64_t do_read(const char *path)
{
    unsigned char *buf = must_alloc(BLOCK);
    memset(buf, 1, BLOCK);
    uint64_t t = now();
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail("cannot open", path);
    ssize_t n;
    while ((n = read(fd, buf, BLOCK)) > 0) {}
    if (n < 0) fail("cannot read", path);
    must_close(fd, path);
    return now() - t;
}

static uint64_t do_check(const char *path, size_t n, uint64_t sd)
{
    unsigned char *want = must_alloc(n), *got = must_alloc(BLOCK);
    seed(sd), fill(want, n);
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail("cannot open", path);
    size_t at = 0;
    ssize_t r;
    while ((r = read(fd, got, BLOCK)) > 0) {
        if (at + (size_t)r > n || memcmp(want + at, got, (size_t)r)) {
            fprintf(stderr, "load: %s holds other bytes than were written, near %zu\n", path, at);
            exit(1);
        }
        at += (size_t)r;
    }
    if (r < 0) fail("cannot read", path);
    if (at != n) {
        fprintf(stderr, "load: %s holds %zu bytes, %zu were written\n", path, at, n);
        exit(1);
    }
    return 0;
}

static uint64_t do_random(const char *path, size_t count, uint64_t sd, int writing)
{
    unsigned char *data = must_alloc(count * PAGE);
    off_t *at = must_alloc(count * sizeof *at);
    struct stat st;
    seed(sd), fill(data, count * PAGE);
    if (stat(path, &st)) fail("cannot stat", path);
    for (size_t i = 0; i < count; i++)
        at[i] = (off_t)(next() % (uint64_t)(st.st_size / PAGE)) * PAGE;
    uint64_t t = now();
    int fd = open(path, writing ? O_WRONLY : O_RDONLY);
    if (fd < 0) fail("cannot open", path);
    for (size_t i = 0; i < count; i++) {
        unsigned char *p = data + i * PAGE;
        ssize_t n = writing ? pwrite(fd, p, PAGE, at[i]) : pread(fd, p, PAGE, at[i]);
        if (n != PAGE) fail(writing ? "cannot write into" : "cannot read from", path);
    }
    if (writing && fsync(fd)) fail("cannot fsync", path);
    must_close(fd, path);
    return now() - t;
}

/* The notes under a folder, in an order that depends only on their names and the seed. */
static char **notes;
static size_t n_notes;

static int take(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)f;
    if (type != FTW_F) return 0;
    if (n_notes % 1024 == 0) notes = realloc(notes, (n_notes + 1024) * sizeof *notes);
    if (!notes || !(notes[n_notes++] = strdup(path))) fail("cannot list", path);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *dir, size_t want)
{
    if (nftw(dir, take, 16, FTW_PHYS)) fail("cannot list", dir);
    if (n_notes < want) {
        fprintf(stderr, "load: %s holds %zu files, %zu are needed\n", dir, n_notes, want);
        exit(1);
    }
    qsort(notes, n_notes, sizeof *notes, by_name);
    for (size_t i = n_notes; i > 1; i--) {
        size_t j = next() % i;
        char *x = notes[i - 1];
        notes[i - 1] = notes[j], notes[j] = x;
    }
}

static uint64_t do_saves(const char *dir, size_t count, uint64_t sd)
{
    enum { MOST = 8192, LEAST = 2048 };
    seed(sd), list(dir, count);
    unsigned char *data = must_alloc(count * MOST);
    size_t *size = must_alloc(count * sizeof *size);
    char **temp = must_alloc(count * sizeof *temp);
    for (size_t i = 0; i < count; i++) {
        size[i] = LEAST + next() % (MOST - LEAST + 1);
        fill_text(data + i * MOST, size[i]);
        const char *base = strrchr(notes[i], '/') + 1;
        if (asprintf(&temp[i], "%.*s.%s.tmp", (int)(base - notes[i]), notes[i], base) < 0)
            fail("cannot name", notes[i]);
    }
    uint64_t t = now();
    for (size_t i = 0; i < count; i++) {
        int fd = open(temp[i], O_WRONLY | O_CREAT | O_EXCL, 0644);
        // What a kill left between fsync and rename; the figures without kills never meet it.
        if (fd < 0 && errno == EEXIST && !unlink(temp[i]))
            fd = open(temp[i], O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0) fail("cannot create", temp[i]);
        write_all(fd, data + i * MOST, size[i], temp[i]);
        if (fsync(fd)) fail("cannot fsync", temp[i]);
        must_close(fd, temp[i]);
        if (rename(temp[i], notes[i])) fail("cannot rename over", notes[i]);
    }
    return now() - t;
}

static uint64_t do_rename(const char *dir, size_t count, uint64_t sd)
{
    seed(sd), list(dir, count);
    char **to = must_alloc(count * sizeof *to);
    for (size_t i = 0; i < count; i++) {
        const char *base = strrchr(notes[i], '/') + 1;
        if (asprintf(&to[i], "%.*srenamed-%zu.md", (int)(base - notes[i]), notes[i], i) < 0)
            fail("cannot name", notes[i]);
    }
    uint64_t t = now();
    for (size_t i = 0; i < count; i++)
        if (rename(notes[i], to[i])) fail("cannot rename", notes[i]);
    return now() - t;
}

/*
 * What sync(1) means, for each system alike and for nothing else on the machine. The kernel sends
 * no syncfs to a FUSE server, so the mount's root is fsynced too (a server that commits in groups
 * commits there), and the file system below is synced last.
 */
static void everything_durable(const char *mount, const char *store)
{
    int m = open(mount, O_RDONLY | O_DIRECTORY), b = open(store, O_RDONLY | O_DIRECTORY);
    if (m < 0 || b < 0) fail("cannot open", m < 0 ? mount : store);
    if (syncfs(m)) fail("cannot sync", mount);
    if (fsync(m) && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        fail("cannot fsync", mount);
    if (syncfs(b)) fail("cannot sync", store);
    close(m), close(b);
}

static uint64_t do_run(char **arg)
{
    const char *mount = NULL, *store = NULL;
    int expect = 0, status;
    if (*arg && !strcmp(*arg, "-s") && arg[1] && arg[2]) mount = arg[1], store = arg[2], arg += 3;
    if (*arg && !strcmp(*arg, "-e") && arg[1]) expect = atoi(arg[1]), arg += 2;
    if (!*arg) {
        fprintf(stderr, "load: run what?\n");
        exit(2);
    }
    uint64_t t = now();
    pid_t pid = fork();
    if (pid < 0) fail("cannot fork for", *arg);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execvp(*arg, arg);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) < 0) fail("cannot wait for", *arg);
    if (mount) everything_durable(mount, store);
    t = now() - t;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expect) {
        fprintf(stderr, "load: %s ended with wait status %#x\n", *arg, (unsigned)status);
        exit(1);
    }
    return t;
}

int main(int n, char **arg)
{
    const char *what = n > 2 ? arg[1] : "";
    uint64_t a = n > 3 ? strtoull(arg[3], NULL, 10) : 0, b = n > 4 ? strtoull(arg[4], NULL, 10) : 0, t;
    if (!strcmp(what, "write") && n == 6) t = do_write(arg[2], a, b, !strcmp(arg[5], "fsync"));
    else if (!strcmp(what, "read") && n == 3) t = do_read(arg[2]);
    else if (!strcmp(what, "check") && n == 5) t = do_check(arg[2], a, b);
    else if (!strcmp(what, "pread") && n == 5) t = do_random(arg[2], a, b, 0);
    else if (!strcmp(what, "pwrite") && n == 5) t = do_random(arg[2], a, b, 1);
    else if (!strcmp(what, "saves") && n == 5) t = do_saves(arg[2], a, b);
    else if (!strcmp(what, "rename") && n == 5) t = do_rename(arg[2], a, b);
    else if (!strcmp(what, "sync") && n == 4) t = now(), everything_durable(arg[2], arg[3]), t = now() - t;
    else if (!strcmp(what, "run")) t = do_run(arg + 2);
    else {
        fprintf(stderr, "load: see the head of load.c for what it does\n");
        return 2;
    }
    printf("%llu\n", (unsigned long long)t);
    return 0;
}

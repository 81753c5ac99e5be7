/* A disk that fails when it is told to, for tests of what a process does about it.
 *
 * Loaded into a process before the C library (LD_PRELOAD), it stands between that process and the files of one folder.
 * Beside each file it keeps an image of what has surely reached the disk: the file as it was at its last sync that
 * succeeded. The file itself is what the kernel shows, which is more. From the two it makes a power cut: of every
 * sector in which they differ, chance decides which one is left. A sync that fails leaves the image as it was, and what
 * was written before it will not reach the disk by a later sync either: so do kernels behave. What a process wrote and
 * did not sync before it ended counts as lost in the same way; a kernel would be kinder.
 *
 * The name of a new file is on the disk once its folder was synced. Removing a file reaches the disk at once.
 *
 * TESTKIT_DISK_FOLDER is the folder, TESTKIT_DISK_STATE where the images are and the file `control`: the numbers below,
 * which the test may change at any time. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The numbers of `control`, in the order in which disk.rs writes them. */
enum {
    LOADED,      /* how many processes have loaded this */
    STRUCK,      /* how many calls were made to fail */
    SEED,        /* the state of the pseudo-random numbers */
    SYNC_PARTS,  /* whose syncs fail; a sum of the parts below */
    SYNC_SKIP,   /* how many of those syncs succeed first */
    WRITE_PARTS, /* whose writes fail */
    WRITE_ERROR, /* with which errno */
    CUT_PARTS,   /* whose writes and syncs count towards the power cut */
    CUT_AFTER,   /* at which of them the power is cut; 0: it is not */
    CUT_KEEP,    /* how many in a hundred of the sectors that were not synced are on the disk all the same */
    HANG_PARTS,  /* whose syncs do not end as long as this says so */
    FREE_BYTES,  /* how much is free on the disk, as far as anybody is told; 0: what really is */
    NUMBERS
};

/* Parts of the disk: the database, its log, the names in the folder, the name of the folder itself, all other files; and
 * the log again while it begins anew, its first bytes not yet synced. */
enum { DATABASE = 1, LOG = 2, NAMES = 4, PARENT = 8, OTHER = 16, LOG_HEAD = 32 };

#define SECTOR 512
#define FILES_MAX 32
#define PATH_BYTES (2 * PATH_MAX)

/* Where a file was written since it was last synced. */
struct range {
    off_t from, to;
};

struct file {
    char name[NAME_MAX + 1];
    int part;
    struct range *dirty;
    size_t count, room;
};

static char folder[PATH_MAX], state[PATH_MAX];
static volatile int64_t *control;
static struct file files[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*really_write)(int, const void *, size_t);
static ssize_t (*really_pwrite)(int, const void *, size_t, off_t);
static int (*really_truncate)(int, off_t);
static int (*really_sync)(int);
static int (*really_datasync)(int);
static int (*really_unlink)(const char *);
static int (*really_statvfs)(const char *, struct statvfs64 *);

__attribute__((constructor)) static void load(void) {
    if (really_write) return;
    really_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    really_truncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
    really_sync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    really_datasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    really_unlink = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    really_statvfs = (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
    really_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    const char *where = getenv("TESTKIT_DISK_FOLDER"), *kept = getenv("TESTKIT_DISK_STATE");
    if (!where || !kept) return;
    snprintf(folder, sizeof folder, "%s", where);
    snprintf(state, sizeof state, "%s", kept);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/control", state);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *map = mmap(NULL, NUMBERS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return;
    control = map;
    control[LOADED]++;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* What is in shared memory is made anew at every start: nobody takes it to be on the disk. */
static int is_shared_memory(const char *name) { return ends_with(name, "-shm"); }

static int part_of(const char *name) {
    if (ends_with(name, ".db")) return DATABASE;
    return ends_with(name, "-wal") ? LOG : OTHER;
}

/* The file of the folder behind a descriptor, or NULL. Sets `part` to 0 where it is none of ours. */
static struct file *find(int fd, int *part) {
    struct stat about;
    char link[64], path[PATH_MAX];
    *part = 0;
    load();
    if (!control || fstat(fd, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    if (S_ISDIR(about.st_mode)) {
        size_t above = (size_t)(strrchr(folder, '/') - folder);
        if (strcmp(path, folder) == 0) *part = NAMES;
        if ((size_t)length == above && strncmp(path, folder, above) == 0) *part = PARENT;
        return NULL;
    }
    size_t root = strlen(folder);
    if (strncmp(path, folder, root) != 0 || path[root] != '/' || is_shared_memory(path)) return NULL;
    const char *name = path + root + 1;
    for (size_t at = 0; at < FILES_MAX; at++) {
        if (!files[at].name[0]) {
            snprintf(files[at].name, sizeof files[at].name, "%s", name);
            files[at].part = part_of(name);
        }
        if (strcmp(files[at].name, name) == 0) {
            *part = files[at].part;
            return &files[at];
        }
    }
    return NULL;
}

/* The image of a file; its name ends with `.fresh` while the name of the file is not on the disk. */
static void image_path(char *path, const char *name, int is_fresh) {
    snprintf(path, PATH_BYTES, "%s/images/%s%s", state, name, is_fresh ? ".fresh" : "");
}

static int open_image(const char *name) {
    char path[PATH_BYTES];
    image_path(path, name, 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    image_path(path, name, 1);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void note_write(struct file *file, off_t from, off_t to) {
    struct range *last = file->count ? &file->dirty[file->count - 1] : NULL;
    if (last && last->to == from) {
        last->to = to;
        return;
    }
    if (file->count == file->room) {
        file->room = file->room ? 2 * file->room : 64;
        file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty);
        if (!file->dirty) abort();
    }
    file->dirty[file->count++] = (struct range){from, to};
}

/* Brings a file's image up to date where the file was written. */
static void reach_disk(struct file *file, int fd) {
    static char block[1 << 16];
    char path[64];
    struct stat about;
    /* Only where it must be: closing any descriptor of a file gives up every lock that the process has on it. */
    int is_unreadable = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int from = is_unreadable ? open(path, O_RDONLY | O_CLOEXEC) : fd, to = open_image(file->name);
    for (size_t n = 0; n < file->count; n++) {
        for (off_t at = file->dirty[n].from; at < file->dirty[n].to;) {
            off_t left = file->dirty[n].to - at;
            ssize_t got = pread(from, block, left < (off_t)sizeof block ? (size_t)left : sizeof block, at);
            if (got <= 0 || really_pwrite(to, block, (size_t)got, at) != got) break;
            at += got;
        }
    }
    if (fstat(fd, &about) != 0 || really_truncate(to, about.st_size) != 0) abort();
    file->count = 0;
    if (is_unreadable) close(from);
    close(to);
}

/* Runs something for every file of the folder. */
static void each_file(void (*run)(const char *name)) {
    DIR *list = opendir(folder);
    struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (entry->d_name[0] != '.' && !is_shared_memory(entry->d_name)) run(entry->d_name);
    if (list) closedir(list);
}

static void reach_disk_by_name(const char *name) {
    char fresh[PATH_BYTES], kept[PATH_BYTES];
    image_path(kept, name, 0);
    image_path(fresh, name, 1);
    if (access(kept, F_OK) == 0) return;
    close(open_image(name));
    rename(fresh, kept);
}

static uint64_t chance(uint64_t below) {
    uint64_t mixed = (uint64_t)(control[SEED] += (int64_t)0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (mixed ^ (mixed >> 31)) % below;
}

static int survives(void) { return (int64_t)chance(100) < control[CUT_KEEP]; }

/* Reads a whole file into memory of at least `room` bytes and a sector, the rest zero. */
static char *slurp(const char *path, size_t *length, size_t room) {
    struct stat about = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *length = fd >= 0 && fstat(fd, &about) == 0 ? (size_t)about.st_size : 0;
    char *bytes = calloc(1, (*length > room ? *length : room) + SECTOR);
    if (!bytes) abort();
    for (size_t at = 0; fd >= 0 && at < *length;) {
        ssize_t got = pread(fd, bytes + at, *length - at, (off_t)at);
        if (got <= 0) abort();
        at += (size_t)got;
    }
    if (fd >= 0) close(fd);
    return bytes;
}

static void replace(const char *path, const char *bytes, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t at = 0; at < length;) {
        ssize_t put = really_pwrite(fd, bytes + at, length - at, (off_t)at);
        if (put <= 0) abort();
        at += (size_t)put;
    }
    close(fd);
}

/* Leaves of one file what a power cut leaves. */
static void settle(const char *name) {
    char path[PATH_BYTES], kept[PATH_BYTES], fresh[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    image_path(kept, name, 0);
    image_path(fresh, name, 1);
    int has_name = access(kept, F_OK) == 0;
    if (!has_name && !survives()) {
        really_unlink(path);
        really_unlink(fresh);
        return;
    }
    size_t before, now, length;
    char *old = slurp(has_name ? kept : fresh, &before, 0);
    char *bytes = slurp(path, &now, before);
    length = before == now || survives() ? now : before;
    for (size_t at = 0; at < length; at += SECTOR) {
        if (survives()) continue;
        size_t there = at < before ? before - at : 0;
        memset(bytes + at, 0, SECTOR);
        memcpy(bytes + at, old + at, there < SECTOR ? there : SECTOR);
    }
    replace(path, bytes, length);
    replace(kept, bytes, length);
    really_unlink(fresh);
    free(old);
    free(bytes);
}

/* Counts a call; at the one that was asked for, the power goes. */
static void count(int part) {
    if (control[CUT_AFTER] <= 0 || !(control[CUT_PARTS] & part) || --control[CUT_AFTER] > 0) return;
    each_file(settle);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int fails(int parts, int part) {
    if (!(control[parts] & part)) return 0;
    if (parts == SYNC_PARTS && control[SYNC_SKIP] > 0) return control[SYNC_SKIP]--, 0;
    return control[STRUCK]++, 1;
}

/* Writes at `at`, or where the descriptor stands if that is negative. A write that fails was half made. */
static ssize_t put(int fd, const void *bytes, size_t length, off_t at) {
    struct stat about = {0};
    int part;
    pthread_mutex_lock(&lock);
    struct file *file = find(fd, &part);
    if (!file) {
        pthread_mutex_unlock(&lock);
        return at < 0 ? really_write(fd, bytes, length) : really_pwrite(fd, bytes, length, at);
    }
    off_t from = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
    fstat(fd, &about);
    int is_refused = fails(WRITE_PARTS, part);
    size_t most = is_refused ? length / 2 : length;
    ssize_t done = at < 0 ? really_write(fd, bytes, most) : really_pwrite(fd, bytes, most, at);
    int error = is_refused ? (int)control[WRITE_ERROR] : errno;
    if (done > 0) note_write(file, from < about.st_size ? from : about.st_size, from + done);
    count(part);
    pthread_mutex_unlock(&lock);
    errno = error;
    return is_refused ? -1 : done;
}

static int sync_file(int fd, int (*really)(int)) {
    int part;
    pthread_mutex_lock(&lock);
    struct file *file = find(fd, &part);
    if (!part) {
        pthread_mutex_unlock(&lock);
        return really(fd);
    }
    while (control[HANG_PARTS] & part) {
        /* Others go on: every write of the process passes here, also those that are none of ours. */
        pthread_mutex_unlock(&lock);
        usleep(1000);
        pthread_mutex_lock(&lock);
    }
    count(part);
    for (size_t n = 0; part == LOG && n < file->count; n++)
        if (file->dirty[n].from == 0) part = LOG | LOG_HEAD;
    int is_refused = fails(SYNC_PARTS, part);
    if (is_refused && file) file->count = 0;
    if (!is_refused && file) reach_disk(file, fd);
    if (!is_refused && part == NAMES) each_file(reach_disk_by_name);
    pthread_mutex_unlock(&lock);
    if (is_refused) errno = EIO;
    return is_refused ? -1 : 0;
}

ssize_t write(int fd, const void *bytes, size_t length) { return load(), put(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return load(), put(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return load(), put(fd, bytes, length, at); }
int fsync(int fd) { return load(), sync_file(fd, really_sync); }
int fdatasync(int fd) { return load(), sync_file(fd, really_datasync); }

int ftruncate(int fd, off_t length) {
    struct stat about = {0};
    int part;
    load();
    pthread_mutex_lock(&lock);
    struct file *file = find(fd, &part);
    fstat(fd, &about);
    int result = really_truncate(fd, length), error = errno;
    if (file && result == 0 && length != about.st_size)
        note_write(file, length < about.st_size ? length : about.st_size, length > about.st_size ? length : about.st_size);
    if (file) count(part);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int unlink(const char *path) {
    char image[PATH_BYTES];
    load();
    pthread_mutex_lock(&lock);
    size_t root = strlen(folder);
    int result = really_unlink(path), error = errno;
    if (control && result == 0 && strncmp(path, folder, root) == 0 && path[root] == '/') {
        const char *name = path + root + 1;
        for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
            image_path(image, name, is_fresh);
            really_unlink(image);
        }
        for (size_t at = 0; at < FILES_MAX; at++)
            if (strcmp(files[at].name, name) == 0) files[at].count = 0;
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int statvfs64(const char *path, struct statvfs64 *about) {
    load();
    int result = really_statvfs(path, about);
    if (control && result == 0 && control[FREE_BYTES] > 0 && strcmp(path, folder) == 0)
        about->f_bavail = (fsblkcnt64_t)control[FREE_BYTES] / about->f_frsize;
    return result;
}

/* Plugins for the Heka router, in C11: the same binary border as Rust plugins have.
 *
 * A plugin file is a shared object that exports one constant, `heka_plugin_entry_<name>`; HEKA_EXPORT at the end
 * makes it. It holds one or more plugins, each a table of functions, of which the host makes instances.
 *     cc -std=c11 -O2 -shared -fPIC -fvisibility=hidden -I include -o libgrep.so grep.c
 *
 * Life       check (pure) - open (memory only) - start (files, sockets) - the kind's own call - stop - destroy.
 * Threads    [instance thread]: the one that runs the instance; [any thread]: any, also several at once.
 * Ownership  what a call is given is the host's, read-only, and valid during the call; a heka_host and its counters
 *            live as long as the instance. Copy what you keep: a record is one piece of `size` bytes.
 * Results    HEKA_OK or another status; a negative one leaves its text with heka_fail first.
 * Progress   keep `completed` current: it counts the messages (frames) dealt with, and a call begins there. If the
 *            call fails, only message number `completed` is lost, or given again after HEKA_RETRY.
 * Alignment  records and field tables start at multiples of 8; offsets count from the record's first byte.
 * Text       is bytes, usually UTF-8, without a NUL at the end.
 * Never      exit or abort; print; install signal handlers; change directory, umask or locale; let a C++ exception
 *            or a longjmp leave a call; change a record that is not your own; touch an instance after destroy.
 * While HEKA_API_VERSION is 0, host and plugin must be built from the same version of this file. */
#ifndef HEKA_PLUGIN_H
#define HEKA_PLUGIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HEKA_API_VERSION 0
#define HEKA_ENTRY_MAGIC UINT64_C(0x47554c50414b4548) /* "HEKAPLUG", little-endian */

enum { HEKA_INPUT = 1, HEKA_DECODER = 2, HEKA_FILTER = 3, HEKA_ENCODER = 4, HEKA_OUTPUT = 5 };
enum { HEKA_OK = 0, /* done */
       HEKA_IDLE = 1, HEKA_END = 2, /* an input has nothing to read within its time; has reached its end for good */
       HEKA_DEFERRED = 3,           /* an output took the batch and will acknowledge its ticket later */
       HEKA_CONFIG = -1,            /* the configuration is wrong: the host refuses to start */
       HEKA_MESSAGE = -2,           /* the message at hand failed: the host dead-letters it and goes on */
       HEKA_RETRY = -3,             /* call again later with what is left */
       HEKA_FATAL = -4, HEKA_PANIC = -5 }; /* stop this instance; it broke: the host calls only destroy */
enum { HEKA_HOST_STATIC = 1 }; /* heka_host.flags; then heka_record.flags, of which heka_frame has the first two */
enum { HEKA_RECORD_TRUNCATED = 1, HEKA_RECORD_DEAD_LETTER = 2, HEKA_RECORD_UNORDERED = 4 };
enum { HEKA_STRING = 0, HEKA_BYTES = 1, HEKA_INTEGER = 2, HEKA_DOUBLE = 3, HEKA_BOOL = 4, HEKA_NONE = 255 };

/* ---- Messages ---- */
typedef struct { const uint8_t *data; size_t len; } heka_slice; /* data may be NULL when len is 0 */
typedef struct { uint32_t offset, len; } heka_span;             /* a piece of a record; len 0: absent */
typedef struct {             /* a message: this header, then its bytes and its field table */
    uint32_t size;           /* bytes of the whole record */
    uint16_t field_count, flags;
    int64_t timestamp;       /* ns since 1970-01-01 UTC */
    uint8_t uuid[16];
    int32_t severity, pid;   /* syslog severity 0 to 7, 7 when unknown; pid 0 when unknown */
    heka_span message_type, logger, payload, env_version, hostname;
    heka_span raw;           /* untouched Heka protobuf image; clear it in a changed copy */
    uint32_t fields_offset, origin_index;    /* fields_offset: of `field_count` heka_fields, a multiple of 8 */
    uint64_t origin_stream, origin_position; /* where it came from; stream 0: nowhere */
    uint16_t hops, reserved[3];
} heka_record;
typedef struct {
    heka_span name, representation; /* representation: unit or format in free text */
    uint8_t value_type, reserved[3];
    uint32_t count;                 /* of values */
    uint64_t value; /* count 1: integer, bits of the double, 0 or 1, or a span (offset in the low half);
                       more: a span of that many such 8-byte values, at a multiple of 8 */
} heka_field;
typedef struct { const heka_record *record; uint64_t marks; } heka_item; /* bit n: marked for the chain's output n */
typedef struct {
    const heka_item *items;
    uint32_t len, completed;
    uint64_t ticket; /* for `acknowledge`, when an output answers HEKA_DEFERRED */
} heka_batch;
typedef struct heka_writer { /* takes records: heka_pass, heka_reserve, heka_push */
    uint8_t *cursor, *end;
    heka_item *items;
    uint32_t len, capacity, record_bytes_max, reserved;
    uint64_t marks;          /* that a new message starts with */
    /* Moves an unfinished record to where `more` bytes are free behind it; NULL if that is over record_bytes_max. */
    uint8_t *(*grow)(struct heka_writer *, const uint8_t *partial, size_t partial_len, size_t more);
    void (*grow_items)(struct heka_writer *);
    void *context;
} heka_writer;
typedef struct { heka_slice bytes; uint64_t position; uint32_t flags, reserved; } heka_frame;
typedef struct { /* frames of one stream, and what their messages start with */
    const heka_frame *frames;
    uint32_t len, completed;
    uint64_t stream; int64_t timestamp; /* of reading */
    heka_slice message_type, logger, hostname; int32_t severity, pid; } heka_frames;
typedef struct heka_buffer { /* takes an encoder's bytes */
    uint8_t *data;
    size_t len, capacity;
    uint32_t *ends; /* set ends[n] to `len` after message n */
    int32_t (*grow)(struct heka_buffer *, size_t more); /* 0, or -1 when over the host's limit */
    void *context;
} heka_buffer;
typedef struct {
    heka_batch batch;
    heka_slice bytes;     /* all messages encoded, one behind the other; empty without an encoder */
    const uint32_t *ends; /* end of each in `bytes`; NULL without an encoder */
    uint8_t queue[16]; const uint64_t *sequences; /* the durable queue that they waited in, numbers there, or NULL */
} heka_delivery;

/* ---- What the host offers ---- */
typedef struct { /* during `read` */
    void *context;
    heka_writer *writer; /* ready messages go here; bytes to be split and decoded go through a stream: */
    uint64_t (*open_stream)(void *context, heka_slice name, uint64_t id, uint64_t position); /* id 0: random */
    void (*rename_stream)(void *context, uint64_t stream, heka_slice name);
    uint8_t *(*stream_buffer)(void *context, uint64_t stream, size_t min, size_t *len);
    int32_t (*stream_filled)(void *context, uint64_t stream, size_t len);
    int32_t (*datagrams)(void *context, uint64_t stream, const heka_frame *frames, size_t len);
    uint64_t (*stream_position)(void *context, uint64_t stream); /* up to which it was split */
    int32_t (*stream_messages)(void *context, uint64_t stream, uint64_t position); /* routes the ready ones */
    int32_t (*close_stream)(void *context, uint64_t stream, uint32_t flush);
} heka_reader;
typedef struct {
    uint32_t struct_size, api_version, flags, log_level; /* greatest wanted: 0 off, 1 error, 2 warn, 3 info, 4 debug */
    void *context;      /* first argument of the functions below */
    heka_slice plugin, instance, hostname, state_dir;
    void (*log)(void *context, uint32_t level, heka_slice target, heka_slice text);           /* [any thread] */
    void (*fail)(void *context, int32_t status, uint64_t retry_after_ns, heka_slice text);    /* see heka_fail */
    void (*fault)(void *context, heka_slice key, heka_slice text);                            /* in check */
    void (*message_failed)(void *context, uint32_t index, heka_slice text); /* item `index` of the batch */
    _Atomic uint64_t *(*counter)(void *context, heka_slice name);
    void (*set_ticker)(void *context, uint64_t interval_ns);                                  /* 0: never */
    int32_t (*output_bit)(void *context, heka_slice name); /* -1: none; filters, in open */
    void (*acknowledge)(void *context, uint64_t ticket, uint32_t count);                      /* [any thread] */
    const void *(*extension)(void *context, heka_slice id);                                   /* [any thread] */
} heka_host;

/* ---- What the plugin offers: [instance thread] where nothing is said, NULL where the kind has no such call ---- */
typedef struct {
    uint32_t struct_size, kind;
    heka_slice name;                                             /* in configs */
    int32_t (*check)(const heka_host *, heka_slice config);      /* [any thread] pure; reports through `fault` */
    void *(*open)(const heka_host *, heka_slice config);         /* NULL after heka_fail */
    int32_t (*start)(void *instance, void *predecessor);         /* predecessor: what a reload replaces, or NULL */
    int32_t (*read)(void *instance, heka_reader *, uint64_t timeout_ns);                   /* input */
    void (*acknowledged)(void *instance, uint64_t stream_id, uint64_t position);           /* input, may be NULL */
    int32_t (*decode)(void *instance, heka_frames *, heka_writer *out);                    /* decoder */
    int32_t (*process)(void *instance, heka_batch *, heka_writer *out, heka_writer *emitted,
                       uint32_t *absorbed);                      /* filter; counts what it will emit later */
    int32_t (*encode)(void *instance, heka_batch *, heka_buffer *out);                     /* encoder */
    int32_t (*deliver)(void *instance, heka_delivery *);                                   /* output */
    int32_t (*sync)(void *instance);                             /* output, may be NULL: makes durable */
    int32_t (*reopen)(void *instance);                           /* output, may be NULL: opens its files anew */
    int32_t (*tick)(void *instance, heka_writer *emitted);       /* may be NULL; emitted: filters only */
    void (*stop)(void *instance);                                /* [any thread] ends a blocking call, at once */
    void (*destroy)(void *instance);
    const void *(*extension)(heka_slice id);                     /* [any thread] may be NULL */
} heka_plugin;
typedef struct {
    uint64_t magic; uint32_t api_version, struct_size;
    heka_slice metadata;
    const heka_plugin *const *plugins; size_t plugin_count;
} heka_entry;
_Static_assert(sizeof(heka_slice) == 16 && sizeof(heka_span) == 8 && sizeof(heka_item) == 16, "64-bit only");
_Static_assert(sizeof(heka_record) == 120 && sizeof(heka_field) == 32 && sizeof(heka_batch) == 24, "layout");
_Static_assert(sizeof(heka_writer) == 72 && sizeof(heka_frame) == 32 && sizeof(heka_frames) == 88, "layout");
_Static_assert(sizeof(heka_buffer) == 48 && sizeof(heka_delivery) == 72 && sizeof(heka_reader) == 80, "layout");
_Static_assert(sizeof(heka_host) == 160 && sizeof(heka_plugin) == 144 && sizeof(heka_entry) == 48, "layout");

/* ---- Reading messages: what points outside of its record reads as empty ---- */
/* A value by its type: STRING and BYTES in `text`, INTEGER and BOOL in `integer`, DOUBLE in `number`, NONE nowhere. */
typedef struct { uint32_t type; heka_slice text; int64_t integer; double number; } heka_value;
static inline heka_span heka_span_of(uint64_t word) { return (heka_span){(uint32_t)word, (uint32_t)(word >> 32)}; }
static inline heka_slice heka_text(const char *text) { return (heka_slice){(const uint8_t *)text, strlen(text)}; }
static inline bool heka_equal(heka_slice slice, const char *text, size_t len) {
    return slice.len == len && (len == 0 || memcmp(slice.data, text, len) == 0);
}
static inline heka_slice heka_bytes(const heka_record *record, heka_span span) {
    if (span.len == 0 || (uint64_t)span.offset + span.len > record->size) return (heka_slice){NULL, 0};
    return (heka_slice){(const uint8_t *)record + span.offset, span.len};
}
static inline heka_slice heka_message_type(const heka_record *r) { return heka_bytes(r, r->message_type); }
static inline heka_slice heka_message_logger(const heka_record *r) { return heka_bytes(r, r->logger); }
static inline heka_slice heka_message_payload(const heka_record *r) { return heka_bytes(r, r->payload); }

/* The first field with this name, or NULL. */
static inline const heka_field *heka_find_field(const heka_record *record, const char *name, size_t len) {
    uint64_t start = record->fields_offset, table_len = record->field_count * (uint64_t)sizeof(heka_field);
    if (start % 8 != 0 || start + table_len > record->size) return NULL;
    const heka_field *field = (const heka_field *)(const void *)((const uint8_t *)record + start);
    for (uint32_t left = record->field_count; left > 0; left--, field++)
        if (heka_equal(heka_bytes(record, field->name), name, len)) return field;
    return NULL;
}
/* Reads value `index`, from 0, of a field; false if there is none. */
static inline bool heka_field_value(const heka_record *record, const heka_field *field, uint32_t index,
                                    heka_value *value) {
    uint64_t word = field->value;
    if (index >= field->count) return false;
    if (field->count > 1) {
        heka_slice array = heka_bytes(record, heka_span_of(word));
        if (array.len / 8 <= index) return false;
        memcpy(&word, array.data + (size_t)index * 8, 8);
    }
    *value = (heka_value){field->value_type, {NULL, 0}, (int64_t)word, 0};
    if (value->type == HEKA_DOUBLE) memcpy(&value->number, &word, 8);
    if (value->type <= HEKA_BYTES) value->text = heka_bytes(record, heka_span_of(word));
    return true;
}

/* ---- Reading options: a config is a MessagePack map ---- */
static inline bool heka_take(heka_slice *rest, uint64_t len, heka_slice *taken) {
    if (len > rest->len) return false;
    *taken = (heka_slice){rest->data, (size_t)len};
    *rest = (heka_slice){rest->data + len, rest->len - (size_t)len};
    return true;
}
static inline bool heka_take_number(heka_slice *rest, uint64_t width, uint64_t *number) {
    heka_slice bytes;
    if (!heka_take(rest, width, &bytes)) return false;
    for (*number = 0; bytes.len > 0; bytes.len--) *number = *number << 8 | *bytes.data++;
    return true;
}
/* Takes one value, stepping over what is nested in it, however deep; false if it is cut short. */
static inline bool heka_take_value(heka_slice *rest, heka_value *value) {
    static const uint8_t widths[] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,  /* of the number behind */
                                     1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4}; /* tags 0xc0 to 0xdf */
    bool nested = false;
    for (uint64_t left = 1; left > 0; left--) {
        uint64_t tag, n = 0, body = 0;
        if (!heka_take_number(rest, 1, &tag) || tag == 0xc1) return false;
        if (tag >= 0xc0 && tag < 0xe0 && !heka_take_number(rest, widths[tag - 0xc0], &n)) return false;
        *value = (heka_value){HEKA_NONE, {NULL, 0}, (int64_t)n, 0};
        if (tag < 0x80 || tag >= 0xe0) value->type = HEKA_INTEGER, value->integer = (int8_t)tag;
        else if (tag < 0xa0) nested = true, left += tag < 0x90 ? 2 * (tag & 15) : tag & 15;
        else if (tag < 0xc0) value->type = HEKA_STRING, body = tag & 31;
        else if (tag == 0xc2 || tag == 0xc3) value->type = HEKA_BOOL, value->integer = tag & 1;
        else if (tag < 0xca) body = n + (tag >= 0xc7); /* nothing, bytes, an extension */
        else if (tag == 0xcb) value->type = HEKA_DOUBLE, memcpy(&value->number, &n, 8);
        else if (tag >= 0xcc && tag < 0xd4) {
            uint32_t unused = tag < 0xd0 ? 0 : 64 - 8u * widths[tag - 0xc0]; /* the sign goes to the top and back */
            value->type = HEKA_INTEGER, value->integer = (int64_t)(n << unused) >> unused;
        } else if (tag >= 0xd4 && tag < 0xd9) body = (UINT64_C(1) << (tag - 0xd4)) + 1;
        else if (tag >= 0xd9 && tag < 0xdc) value->type = HEKA_STRING, body = n;
        else if (tag >= 0xdc) nested = true, left += tag < 0xde ? n : 2 * n;
        if (!heka_take(rest, body, &value->text)) return false;
    }
    if (nested) value->type = HEKA_NONE;
    return true;
}
/* What heka_next_option takes the options of a config from, one after the other. */
static inline heka_slice heka_options(heka_slice config) {
    size_t head = config.len == 0 ? 0 : config.data[0] == 0xde ? 3 : config.data[0] == 0xdf ? 5 : 1;
    return head > config.len ? (heka_slice){NULL, 0} : (heka_slice){config.data + head, config.len - head};
}
static inline bool heka_next_option(heka_slice *options, heka_slice *key, heka_value *value) {
    if (!heka_take_value(options, value) || value->type != HEKA_STRING) return false;
    *key = value->text;
    return heka_take_value(options, value);
}
/* The text of a string option; its `data` is NULL if there is none. */
static inline heka_slice heka_option_text(heka_slice config, const char *name) {
    heka_slice options = heka_options(config), key;
    heka_value value;
    while (heka_next_option(&options, &key, &value))
        if (value.type == HEKA_STRING && heka_equal(key, name, strlen(name))) return value.text;
    return (heka_slice){NULL, 0};
}

/* ---- Answering ---- */
/* Leaves the text of a failure with the host; returns the status, to be returned by the call. */
static inline int32_t heka_fail(const heka_host *host, int32_t status, const char *text) {
    host->fail(host->context, status, 0, heka_text(text));
    return status;
}
#define heka_counter_add(counter, count) atomic_fetch_add_explicit(counter, (uint64_t)(count), memory_order_relaxed)
/* Passes a message on as it is. */
static inline void heka_pass(heka_writer *out, heka_item item) {
    if (out->len == out->capacity) out->grow_items(out);
    out->items[out->len++] = item;
}
/* Room for a new record of at most `len` bytes; NULL if that is over the host's limit. */
static inline void *heka_reserve(heka_writer *out, size_t len) {
    len = (len + 7) / 8 * 8;
    return (size_t)(out->end - out->cursor) >= len ? out->cursor : out->grow(out, out->cursor, 0, len);
}
/* Hands on the record, of `record->size` bytes, written to where heka_reserve said. */
static inline void heka_push(heka_writer *out, const heka_record *record) {
    out->cursor += (record->size + UINT64_C(7)) / 8 * 8;
    heka_pass(out, (heka_item){record, out->marks});
}
/* ---- Exporting: HEKA_EXPORT(name, "1.0", each HEKA_PLUGIN(...) with its options behind it, &plugin, ...); ---- */
#define HEKA_LITERAL(text) {(const uint8_t *)(text), sizeof(text) - 1} /* initializes a heka_slice */
#define HEKA_LINE(key, value) "\0" key "=" value
#define HEKA_PLUGIN(kind, name, doc) HEKA_LINE("kind", kind) HEKA_LINE("plugin", name) HEKA_LINE("doc", doc)
#define HEKA_REQUIRED(name, type, doc) HEKA_LINE("option", name) HEKA_LINE("type", type) HEKA_LINE("doc", doc)
#define HEKA_OPTIONAL(name, type, default_text, doc) \
    HEKA_LINE("option", name) HEKA_LINE("type", type) HEKA_LINE("default", default_text) HEKA_LINE("doc", doc)
#define HEKA_DIGITS_(number) #number
#define HEKA_DIGITS(number) HEKA_DIGITS_(number)
#define HEKA_EXPORT(file, version, metadata, ...)                                                                      \
    __attribute__((section(".heka_plugin"), used)) static const char heka_metadata[] =                                 \
        "heka_plugin_api=" HEKA_DIGITS(HEKA_API_VERSION) HEKA_LINE("language", "c")                                    \
        HEKA_LINE("name", #file) HEKA_LINE("version", version) metadata;                                               \
    static const heka_plugin *const heka_plugins[] = {__VA_ARGS__};                                                    \
    __attribute__((visibility("default"))) const heka_entry heka_plugin_entry_##file = {                               \
        HEKA_ENTRY_MAGIC, HEKA_API_VERSION, sizeof(heka_entry),                                                        \
        {(const uint8_t *)heka_metadata, sizeof heka_metadata}, heka_plugins, sizeof heka_plugins / sizeof(void *)}
#endif

/* The filter `grep` in C: keeps the messages whose payload contains a given text.
 *
 *     cc -std=c11 -O2 -shared -fPIC -fvisibility=hidden -I include -o libgrep_c.so tests/plugins/grep_c/grep.c */
#define _GNU_SOURCE /* memmem */
#include "heka_plugin.h"
#include <stdlib.h>

typedef struct {
    size_t len;
    uint8_t text[];
} grep_filter;

static int32_t check(const heka_host *host, heka_slice config) {
    heka_slice options = heka_options(config), key;
    heka_value value;
    const char *fault = "missing: name the text to look for";
    int32_t status = HEKA_OK;
    while (heka_next_option(&options, &key, &value)) {
        if (!heka_equal(key, "contains", 8)) {
            host->fault(host->context, key, heka_text("unknown option; known: contains"));
            status = HEKA_CONFIG;
            continue;
        }
        fault = value.type != HEKA_STRING ? "must be a text" : value.text.len == 0 ? "must not be empty" : NULL;
    }
    if (fault == NULL) return status;
    host->fault(host->context, heka_text("contains"), heka_text(fault));
    return HEKA_CONFIG;
}

static void *open_filter(const heka_host *host, heka_slice config) {
    heka_slice contains = heka_option_text(config, "contains");
    if (contains.len == 0) return heka_fail(host, HEKA_CONFIG, "contains: must not be empty"), NULL;
    grep_filter *filter = malloc(sizeof(grep_filter) + contains.len);
    if (filter == NULL) return heka_fail(host, HEKA_FATAL, "out of memory"), NULL;
    filter->len = contains.len;
    memcpy(filter->text, contains.data, contains.len);
    return filter;
}

static int32_t start(void *instance, void *predecessor) {
    (void)instance, (void)predecessor;
    return HEKA_OK;
}

static int32_t process(void *instance, heka_batch *batch, heka_writer *out, heka_writer *emitted, uint32_t *absorbed) {
    const grep_filter *filter = instance;
    (void)emitted, (void)absorbed;
    for (; batch->completed < batch->len; batch->completed++) {
        heka_item item = batch->items[batch->completed];
        heka_slice payload = heka_message_payload(item.record);
        if (payload.len > 0 && memmem(payload.data, payload.len, filter->text, filter->len) != NULL) heka_pass(out, item);
    }
    return HEKA_OK;
}

static void stop(void *instance) { (void)instance; }

static const heka_plugin grep = {
    .struct_size = sizeof(heka_plugin),
    .kind = HEKA_FILTER,
    .name = HEKA_LITERAL("grep_c"),
    .check = check,
    .open = open_filter,
    .start = start,
    .process = process,
    .stop = stop,
    .destroy = free,
};

HEKA_EXPORT(grep_c, "0.1.0",
            HEKA_PLUGIN("filter", "grep_c", "Keeps the messages whose payload contains a given text.")
            HEKA_REQUIRED("contains", "string", "Text to look for; must not be empty."),
            &grep);

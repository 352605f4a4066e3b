#include "plan.h"
#include "heads.h"
#include "sockets.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static enum mode mode_named(const char *name) {
    static const char *const names[] = {"connect", "get", "bulk", "hold"};
    for (int index = 0; name && index < 4; index++)
        if (!strcmp(name, names[index]))
            return (enum mode)index;
    die("load connect|get|bulk|hold --proxy 127.0.0.1:P (--origin 127.0.0.1:O | --host NAME) ...");
}

static struct sockaddr_in address(const char *name, const char *text) {
    struct sockaddr_in read;
    if (loopback_address(text, strlen(text), &read))
        die("%s: a loopback address and port are wanted, not %s", name, text);
    return read;
}

static void write_heads(struct plan *plan, const struct sockaddr_in *origin, enum fields fields) {
    char authority[64] = "";
    if (!plan->host) {
        write_authority(authority, sizeof authority, origin);
        plan->connect_length = write_connect(plan->connect_head, sizeof plan->connect_head, authority);
    }
    struct asked asked = {.authority = plan->host ? plan->host : authority,
                          .absolute = plan->mode == GET && !plan->host,
                          .fields = plan->mode == GET ? fields : plan->host ? SMALL : HOST_ALONE,
                          .changing = plan->changing,
                          .numbered = plan->hosts > 0,
                          .bytes = plan->bytes,
                          .upload = plan->upload};
    plan->request_length = write_request(plan->request, sizeof plan->request, &asked);
}

/* What goes together, and what each mode wants. */
static void judge(const struct plan *plan, bool has_origin) {
    bool wants_bytes = plan->mode == BULK || plan->upload;
    if (!plan->proxy.sin_family || !(has_origin || plan->host) || !plan->count ||
        (wants_bytes && !plan->bytes))
        die("--proxy, --origin or --host, --count, and --bytes for bulk and uploads are wanted");
    if (plan->host && plan->mode != GET && plan->mode != HOLD)
        die("--host is for get and hold");
    if (!plan->host && (plan->tls || plan->hosts))
        die("--tls and --hosts are for a --host");
    if (plan->tls && plan->hosts)
        die("--hosts changes from request to request, the name of a TLS connection does not");
}

void read_plan(struct plan *plan, int argument_count, char **arguments) {
    static const struct option options[] = {
        {"proxy", required_argument, NULL, 'p'},  {"origin", required_argument, NULL, 'o'},
        {"count", required_argument, NULL, 'n'},  {"concurrency", required_argument, NULL, 'c'},
        {"bytes", required_argument, NULL, 'b'},  {"head", required_argument, NULL, 'h'},
        {"upload", no_argument, NULL, 'u'},       {"deadline", required_argument, NULL, 'd'},
        {"host", required_argument, NULL, 'H'},   {"hosts", required_argument, NULL, 'N'},
        {"tls", no_argument, NULL, 't'},          {"once", no_argument, NULL, '1'},
        {0}};
    struct sockaddr_in origin = {0};
    enum fields fields = SMALL;
    *plan = (struct plan){.concurrency = 64, .deadline = 120};
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        if (option == 'p')
            plan->proxy = address("--proxy", optarg);
        else if (option == 'o')
            origin = address("--origin", optarg);
        else if (option == 'n')
            plan->count = number("--count", optarg, 1, 10000000);
        else if (option == 'c')
            plan->concurrency = number("--concurrency", optarg, 1, 10000);
        else if (option == 'b')
            plan->bytes = number("--bytes", optarg, 1, 1ull << 40);
        else if (option == 'd')
            plan->deadline = number("--deadline", optarg, 1, 3600);
        else if (option == 'h') {
            plan->changing = !strcmp(optarg, "changing");
            fields = plan->changing || !strcmp(optarg, "browser") ? BROWSER : SMALL;
        } else if (option == 'H')
            plan->host = optarg;
        else if (option == 'N')
            plan->hosts = (unsigned)number("--hosts", optarg, 1, 10000);
        else if (option == 'u')
            plan->upload = true;
        else if (option == 't')
            plan->tls = true;
        else if (option == '1')
            plan->once = true;
        else
            exit(64);
    }
    plan->mode = mode_named(arguments[optind]);
    judge(plan, origin.sin_family);
    write_heads(plan, &origin, fields);
    if (plan->mode == BULK || plan->concurrency > plan->count)
        plan->concurrency = plan->count;
}

#include "heads.h"
#include "sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A forward proxy's clients say Proxy-Connection. */
static const char small_head[] = "User-Agent: load/1\r\nAccept: */*\r\n%sConnection: keep-alive\r\n";

/* With Host, the twelve fields that a browser sends for a page. */
static const char browser_head[] =
    "%sConnection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
    "Sec-GPC: 1\r\n"
    "Referer: http://127.0.0.1/articles/2026/01/a-page-that-was-read-before?from=index\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
    "Cookie: session=6f1d0c8e5b7a49d2a3c4e5f60718293a; theme=dark; consent=1~analytics.0~ads.0\r\n"
    "If-None-Match: W/\"5d8c72a5edda8\"\r\n";

static const char *const fields_of[] = {[HOST_ALONE] = "", [SMALL] = small_head, [BROWSER] = browser_head};

static size_t whole(int length, size_t size) {
    if (length < 0 || (size_t)length >= size)
        die("a head of more than %zu bytes", size);
    return (size_t)length;
}

void write_authority(char *authority, size_t size, const struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
    whole(snprintf(authority, size, "%s:%u", host, ntohs(address->sin_port)), size);
}

size_t write_connect(char *head, size_t size, const char *authority) {
    return whole(snprintf(head, size, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority), size);
}

size_t write_request(char *head, size_t size, const struct asked *asked) {
    char path[64] = "", length[64] = "", fields[2048];
    if (asked->bytes && !asked->upload)
        snprintf(path, sizeof path, "bytes/%llu", (unsigned long long)asked->bytes);
    else if (asked->changing)
        snprintf(path, sizeof path, "changing");
    if (asked->upload)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)asked->bytes);
    whole(snprintf(fields, sizeof fields, fields_of[asked->fields], asked->absolute ? "Proxy-" : ""),
          sizeof fields);
    return whole(snprintf(head, size, "%s %s%s/%s HTTP/1.1\r\nHost: %s%s\r\n%s%s\r\n",
                          asked->upload ? "POST" : "GET", asked->absolute ? "http://" : "",
                          asked->absolute ? asked->authority : "", path, asked->numbered ? "0000." : "",
                          asked->authority, fields, length),
                 size);
}

void change_session(char *head) {
    static unsigned asked;
    char digits[9];
    snprintf(digits, sizeof digits, "%08x", asked++);
    memcpy(strstr(head, "session=") + 8, digits, 8);
}

void number_host(char *head, unsigned host) {
    char digits[16];
    snprintf(digits, sizeof digits, "%04u", host % 10000);
    memcpy(strstr(head, "\r\nHost: ") + 8, digits, 4);
}

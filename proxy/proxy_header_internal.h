/* The PROXY protocol's numbers, by its own names (proxy-protocol.txt, section 2). */
#ifndef PROXY_PROXY_HEADER_INTERNAL_H
#define PROXY_PROXY_HEADER_INTERNAL_H

#define PROXY_HEADER_V1_SIGNATURE "PROXY "
#define PROXY_HEADER_V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

#define PP2_HEADER                16 /* signature, version and command, family, length */

#define PP2_COMMAND_LOCAL         0x0
#define PP2_COMMAND_PROXY         0x1

#define PP2_FAMILY_INET           0x1
#define PP2_FAMILY_INET6          0x2
#define PP2_FAMILY_UNIX           0x3
#define PP2_TRANSPORT_STREAM      0x1
#define PP2_TRANSPORT_DGRAM       0x2
#define PP2_SIZE_INET             12
#define PP2_SIZE_INET6            36
#define PP2_SIZE_UNIX             216

#define PP2_TYPE_ALPN             0x01
#define PP2_TYPE_AUTHORITY        0x02
#define PP2_TYPE_CRC32C           0x03
#define PP2_TYPE_SSL              0x20
#define PP2_SUBTYPE_SSL_VERSION   0x21
#define PP2_SUBTYPE_SSL_CN        0x22
#define PP2_SUBTYPE_SSL_CIPHER    0x23

#define PP2_CLIENT_SSL            0x01
#define PP2_CLIENT_CERT_CONN      0x02 /* in the connection's own handshake */
#define PP2_CLIENT_CERT_SESS      0x04 /* in it, or in one that it resumes */

#endif

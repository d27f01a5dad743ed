/*
 * Interfaces of the kernel that a port sits on, read and set by ioctl. Not by rtnetlink: these are
 * a handful of questions at start, and each has an ioctl that every kernel answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stack/io/io_internal.h"

static int io_netdev_ioctl(unsigned long request, const char *name, struct ifreq *r)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result, err;

    if (fd < 0)
        return -1;
    snprintf(r->ifr_name, sizeof r->ifr_name, "%s", name);
    result = ioctl(fd, request, r);
    err = errno;
    close(fd);
    errno = err;
    return result;
}

static int io_netdev_ethtool(const char *name, void *command)
{
    struct ifreq r = {.ifr_data = command};

    return io_netdev_ioctl(SIOCETHTOOL, name, &r);
}

static int io_netdev_missing(const char *name, struct error *e)
{
    struct if_nameindex *all = if_nameindex();
    char list[384] = "";
    size_t used = 0;

    for (const struct if_nameindex *i = all; i != NULL && i->if_name != NULL; i++) {
        int len =
            snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", i->if_name);

        if (len < 0 || (size_t)len >= sizeof list - used) {
            memcpy(list + sizeof list - 4, "…", sizeof "…");
            break;
        }
        used += (size_t)len;
    }
    if (all != NULL)
        if_freenameindex(all);
    return error_set(e, "no interface \"%s\"; there are: %s", name, list);
}

static void io_netdev_read_driver(struct io_netdev *d)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

    d->driver[0] = '\0';
    if (io_netdev_ethtool(d->name, &info) == 0)
        snprintf(d->driver, sizeof d->driver, "%.31s", info.driver);
}

static void io_netdev_read_channels(struct io_netdev *d)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

    d->rx_channels = 1;
    d->combined = false;
    if (io_netdev_ethtool(d->name, &c) != 0)
        return;
    d->combined = c.max_combined > 0;
    if (c.combined_count + c.rx_count > 0)
        d->rx_channels = c.combined_count + c.rx_count;
}

static int io_netdev_read_node(const char *name)
{
    char path[PATH_MAX];
    int node = -1;
    FILE *f;

    snprintf(path, sizeof path, "/sys/class/net/%s/device/numa_node", name);
    f = fopen(path, "re");
    if (f == NULL)
        return -1;
    if (fscanf(f, "%d", &node) != 1)
        node = -1;
    fclose(f);
    return node;
}

int io_netdev_read(const char *name, struct io_netdev *out, struct error *e)
{
    struct ifreq r = {.ifr_ifindex = 0};

    if (strlen(name) >= sizeof out->name || io_netdev_ioctl(SIOCGIFHWADDR, name, &r) != 0)
        return io_netdev_missing(name, e);
    if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return error_set(e, "interface \"%s\" is not an Ethernet interface", name);
    snprintf(out->name, sizeof out->name, "%s", name);
    if (io_netdev_ioctl(SIOCGIFMTU, name, &r) != 0)
        return error_set(e, "cannot read the MTU of %s: %s", name, strerror(errno));
    out->mtu = (unsigned)r.ifr_mtu;
    if (io_netdev_ioctl(SIOCGIFFLAGS, name, &r) != 0)
        return error_set(e, "cannot read the flags of %s: %s", name, strerror(errno));
    out->up = (r.ifr_flags & IFF_UP) != 0;
    io_netdev_read_driver(out);
    io_netdev_read_channels(out);
    out->numa_node = io_netdev_read_node(name);
    return 0;
}

int io_netdev_up(const char *name, struct error *e)
{
    struct ifreq r = {.ifr_flags = 0};

    if (io_netdev_ioctl(SIOCGIFFLAGS, name, &r) == 0) {
        r.ifr_flags |= IFF_UP;
        if (io_netdev_ioctl(SIOCSIFFLAGS, name, &r) == 0)
            return 0;
    }
    return error_set(e, "interface \"%s\" is down and cannot be brought up: %s", name,
                     strerror(errno));
}

int io_netdev_set_mtu(const char *name, unsigned mtu, struct error *e)
{
    struct ifreq r = {.ifr_mtu = (int)mtu};

    if (io_netdev_ioctl(SIOCSIFMTU, name, &r) != 0)
        return error_set(e, "cannot set the MTU of %s to %u: %s", name, mtu, strerror(errno));
    return 0;
}

int io_netdev_set_mac(const char *name, const uint8_t mac[6], struct error *e)
{
    struct ifreq r = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

    memcpy(r.ifr_hwaddr.sa_data, mac, 6);
    if (io_netdev_ioctl(SIOCSIFHWADDR, name, &r) != 0)
        return error_set(e, "cannot set the address of %s: %s", name, strerror(errno));
    return 0;
}

int io_netdev_set_channels(const struct io_netdev *d, unsigned count, struct error *e)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

    if (io_netdev_ethtool(d->name, &c) == 0) {
        c.cmd = ETHTOOL_SCHANNELS;
        if (d->combined) {
            c.combined_count = count;
            c.rx_count = 0;
        } else {
            c.rx_count = count;
        }
        if (io_netdev_ethtool(d->name, &c) == 0)
            return 0;
    }
    return error_set(e, "ethtool -L %s %s %u: %s", d->name, d->combined ? "combined" : "rx", count,
                     strerror(errno));
}

/* Carrier is asked for by itself: IFF_RUNNING follows it only after up to a second. */
bool io_netdev_running(const char *name)
{
    struct ethtool_value carrier = {.cmd = ETHTOOL_GLINK};
    struct ifreq r = {.ifr_flags = 0};

    if (io_netdev_ioctl(SIOCGIFFLAGS, name, &r) != 0 || (r.ifr_flags & IFF_UP) == 0)
        return false;
    if (io_netdev_ethtool(name, &carrier) == 0)
        return carrier.data != 0;
    return (r.ifr_flags & IFF_RUNNING) != 0;
}

static bool io_netdev_set_gro(const char *name, bool on)
{
    struct ethtool_value v = {.cmd = ETHTOOL_SGRO, .data = on};

    return io_netdev_ethtool(name, &v) == 0;
}

bool io_netdev_gro_off(const char *name)
{
    struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};

    /* LRO is not put back: the kernel itself switches it off for whoever forwards packets. */
    if (io_netdev_ethtool(name, &v) == 0 && (v.data & ETH_FLAG_LRO) != 0) {
        v.cmd = ETHTOOL_SFLAGS;
        v.data &= ~(uint32_t)ETH_FLAG_LRO;
        io_netdev_ethtool(name, &v);
    }
    v = (struct ethtool_value){.cmd = ETHTOOL_GGRO};
    return io_netdev_ethtool(name, &v) == 0 && v.data != 0 && io_netdev_set_gro(name, false);
}

void io_netdev_gro_on(const char *name)
{
    io_netdev_set_gro(name, true);
}

bool io_netdev_vlan_strip_off(const char *name)
{
    struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};

    if (io_netdev_ethtool(name, &v) != 0 || (v.data & ETH_FLAG_RXVLAN) == 0)
        return false;
    v.cmd = ETHTOOL_SFLAGS;
    v.data &= ~(uint32_t)ETH_FLAG_RXVLAN;
    return io_netdev_ethtool(name, &v) == 0;
}

void io_netdev_vlan_strip_on(const char *name)
{
    struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};

    if (io_netdev_ethtool(name, &v) != 0)
        return;
    v.cmd = ETHTOOL_SFLAGS;
    v.data |= ETH_FLAG_RXVLAN;
    io_netdev_ethtool(name, &v);
}

static bool io_netdev_address_counts(const struct ifaddrs *a, const char *name)
{
    if (a->ifa_addr == NULL || strcmp(a->ifa_name, name) != 0)
        return false;
    if (a->ifa_addr->sa_family == AF_INET)
        return true;
    /* Every interface that is up has a link-local IPv6 address; nobody configured it. */
    return a->ifa_addr->sa_family == AF_INET6 &&
           !IN6_IS_ADDR_LINKLOCAL(
               &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr);
}

bool io_netdev_addresses(const char *name, char *out, size_t size)
{
    struct ifaddrs *all = NULL;
    size_t used = 0;

    out[0] = '\0';
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *a = all; a != NULL && used < size; a = a->ifa_next) {
        char text[INET6_ADDRSTRLEN];

        if (!io_netdev_address_counts(a, name) ||
            getnameinfo(a->ifa_addr,
                        a->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                          : sizeof(struct sockaddr_in6),
                        text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", text);
    }
    freeifaddrs(all);
    return used > 0;
}

#!/bin/sh
# Brings the card up: kernel file systems, host name, network as the command line says.
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620 pts /dev/pts
ln -sf /proc/self/fd /dev/fd

name=mic0 net=
for word in $(cat /proc/cmdline); do
  case $word in
    knightsbridge.name=*) name=${word#*=} ;;
    knightsbridge.net=*) net=${word#*=} ;;
  esac
done
hostname "$name"
ip link set lo up
[ -e /sys/class/net/eth0 ] || exit 0
ip link set eth0 up
case $net in
  dhcp) udhcpc -i eth0 -n -q -t 5 -T 1 -s /etc/udhcpc.script >/run/udhcpc.log 2>&1 ;;
  */*)
    # ADDRESS/PREFIX[,GATEWAY]
    ip addr add "${net%%,*}" dev eth0
    case $net in *,*) ip route add default via "${net#*,}" ;; esac
    ;;
esac
exit 0

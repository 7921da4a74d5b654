# Ensures that ssh, avahi and the guest agent run
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin

# a server that started with the base's keys must start again; one without keys is down by now
stale=''
for file in /run/sshd.pid /var/run/sshd.pid; do
  [ -f $file ] || continue
  for key in /etc/ssh/ssh_host_*_key; do
    # busybox compares whole seconds
    { [ ! -f "$key" ] || [ $file -nt "$key" ]; } || stale=1
  done
done

if [ -d /run/systemd/system ]; then
  # Everything here is read from files: each call of systemctl costs 0.1 s. Jobs are only queued, since the boot may
  # still be under way and its own jobs for these services ahead.
  start='' enable='' ssh=''
  for names in 'ssh.socket sshd.socket' 'ssh.service sshd.service' avahi-daemon.service \
    'qemu-guest-agent.service qemu-ga.service'; do
    for unit in $names; do
      file=''
      for dir in /etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        [ ! -e "$dir/$unit" ] || { file=$dir/$unit; break; }
      done
      [ -n "$file" ] || continue
      # a link to /dev/null
      if [ -c "$file" ]; then
        case $unit in
        *.socket) continue ;;
        esac
        rm -f "/etc/systemd/system/$unit"
      fi
      wanted=''
      for link in /etc/systemd/system/*.wants/"$unit" /usr/lib/systemd/system/*.wants/"$unit"; do
        [ ! -L "$link" ] || wanted=1
      done
      case $unit in
      *.socket)
        [ -n "$wanted" ] || continue
        ssh=$unit start="$start $unit"
        break
        ;;
      ssh*.service)
        # its socket starts it, and a running one is told of new keys
        [ -z "$ssh" ] || { ssh=$unit; break; }
        ssh=$unit
        ;;
      # the device brings the agent up, where there is one
      qemu*) wanted=1 ;;
      esac
      [ -n "$wanted" ] || enable="$enable $unit"
      start="$start $unit"
      break
    done
  done
  # shellcheck disable=SC2086
  {
    [ -z "$enable" ] || systemctl --quiet enable $enable
    if [ -n "$stale" ]; then
      systemctl --no-block restart "$ssh"
    else
      # it may have failed too often, for want of host keys, to be let start again
      [ ! -L "/run/systemd/units/invocation:$ssh" ] || systemctl reset-failed "$ssh" 2>/dev/null || :
    fi
    systemctl --no-block start $start
  }
elif [ -d /etc/runlevels ]; then
  for service in sshd avahi-daemon qemu-guest-agent; do
    [ -x /etc/init.d/$service ] || continue
    link=/etc/runlevels/default/$service
    [ -L $link ] || ln -s /etc/init.d/$service $link
    if [ "$service$stale" = sshd1 ]; then
      rc-service -q $service restart
    else
      rc-service -q $service start
    fi </dev/null >/dev/null 2>&1 || echo "$service did not start yet" &
  done
  wait
else
  for service in ssh sshd avahi-daemon qemu-guest-agent; do
    [ -x /etc/init.d/$service ] || [ -f /etc/init/$service.conf ] || continue
    found=''
    for link in /etc/rc[2345S].d/S[0-9][0-9]$service /etc/init/$service.conf; do
      [ ! -e "$link" ] || found=1
    done
    [ -n "$found" ] || update-rc.d $service enable || chkconfig $service on || :
    if [ "$stale" ] && [ "${service#ssh}" != $service ]; then
      service $service restart
    else
      service $service start
    fi </dev/null >/dev/null 2>&1 || echo "$service did not start yet" &
  done
  wait
fi

# Counts in the database ten times a second, and writes down each number that it was given, with the guest's own time.
# SPDX-License-Identifier: LGPL-2.1-or-later
use strict;
use warnings;
use IO::Socket::INET;

$SIG{PIPE} = 'IGNORE';
open(my $log, '>>', '/var/lib/shop/counted') or die "counted: $!";
$log->autoflush(1);

# Seconds since the guest's boot: they stand still while the VM does.
sub uptime {
    open(my $file, '<', '/proc/uptime') or die "uptime: $!";
    return (split ' ', <$file>)[0];
}

my $db;
while (1) {
    $db ||= IO::Socket::INET->new(PeerAddr => 'shop-db.local', PeerPort => 6379, Timeout => 5);
    if ($db) {
        print $db "INCR n\r\n";
        my $answer = <$db>;
        if (defined $answer && $answer =~ /^:(\d+)/) {
            print $log "$1 ", uptime(), "\n";
        } else {
            undef $db;
        }
    }
    select(undef, undef, undef, 0.1);
}

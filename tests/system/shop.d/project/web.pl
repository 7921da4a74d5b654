# Serves the number that the database holds, and writes down each that it has seen.
# SPDX-License-Identifier: LGPL-2.1-or-later
use strict;
use warnings;
use IO::Socket::INET;

$SIG{PIPE} = 'IGNORE';
open(my $log, '>>', '/var/lib/shop/seen') or die "seen: $!";
$log->autoflush(1);
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die "listen: $!";
my $db;

sub count {
    $db ||= IO::Socket::INET->new(PeerAddr => 'shop-db.local', PeerPort => 6379, Timeout => 5) or return;
    print $db "GET n\r\n";
    my $length = <$db>;
    my $value = defined $length && $length =~ /^\$\d+/ ? <$db> : undef;
    undef $db unless defined $value;
    return defined $value && $value =~ /^(\d+)/ ? $1 : undef;
}

while (1) {
    my $client = $server->accept or next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
    my $n = count();
    print $log "$n\n" if defined $n;
    my ($status, $body) = defined $n ? ('200 OK', "$n\n") : ('503 No database', "no database\n");
    print $client "HTTP/1.0 $status\r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    close $client;
}

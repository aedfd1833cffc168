#!/usr/bin/perl
# The flow that the Pepipost article "Real-Time Email Tracking With Go, Redis, and Lua" replaced,
# for the benchmark: ten processes, each of which pops one payload (BLPOP), decodes it, and inserts
# one row, which commits by itself.
#
# Guarantee: at most once. An event is gone from Redis before MySQL has it, so a process that dies
# between the two loses it.
#
# Prints "ready" once all processes are connected; SIGTERM ends them and then this one.
use strict;
use warnings;

use DBI;
use Errno;
use JSON::XS;
use Redis;

use constant PROCESSES => 10;

my $queue = $ENV{BENCH_QUEUE} || 'pepi_queue';

my %workers;
my $stopping = 0;
$SIG{TERM} = $SIG{INT} = sub { $stopping = 1; kill TERM => keys %workers };

pipe my $connected, my $report or die "pipe: $!\n";
for (1 .. PROCESSES) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $connected;
        @SIG{qw(TERM INT)} = ('DEFAULT', 'DEFAULT');
        consume($report);
    }
    $workers{$pid} = 1;
}
close $report;

# A signal may have come while %workers was being filled.
kill TERM => keys %workers if $stopping;

my $ready = 0;
while ($ready < PROCESSES) {
    my $read = sysread $connected, my $byte, 1;
    next if !defined $read && $!{EINTR} && !$stopping;
    last if !$read;    # one has ended without a byte; waitpid below tells
    $ready++;
}
if ($ready == PROCESSES) {
    local $| = 1;
    print "ready\n";
}

my $failed = 0;
while (%workers) {
    my $pid = waitpid -1, 0;
    next if $pid < 0;    # interrupted by a signal
    delete $workers{$pid};
    next if $stopping;
    $failed = $stopping = 1;    # without one of them, the rest would pass for the whole
    kill TERM => keys %workers;
}
exit $failed;

# Pop, decode and insert, for ever.
sub consume {
    my ($report) = @_;
    my $redis = Redis->new(sock => $ENV{BENCH_REDIS_SOCKET});
    my $dbh   = DBI->connect(
        "DBI:mysql:database=$ENV{BENCH_MYSQL_DATABASE};mysql_socket=$ENV{BENCH_MYSQL_SOCKET}",
        $ENV{BENCH_MYSQL_USER},
        $ENV{BENCH_MYSQL_PASSWORD},
        { AutoCommit => 1, RaiseError => 1, PrintError => 0, mysql_enable_utf8mb4 => 1 },
    );
    my $insert = $dbh->prepare('INSERT INTO pepi_event (id, event_name) VALUES (?, ?)');
    syswrite $report, '.';
    close $report;
    while (1) {
        my (undef, $payload) = $redis->blpop($queue, 0);
        my $event = decode_json($payload);
        $insert->execute($event->{id}, $event->{event_name});
    }
}

#!/usr/bin/perl
# The article's old flow ("Real-Time Email Tracking With Go, Redis, and Lua"): 10 processes, each
# BLPOPs one event and INSERTs one row.
#
# At most once, as published: an event that was popped and not yet inserted dies with the process.
use strict;
use warnings;

use DBI;
use JSON::XS qw(decode_json);
use Redis;

my $processes = $ENV{BENCH_PROCESSES} || 10;
my $queue     = $ENV{BENCH_QUEUE};
$| = 1;

my @children;
for ( 1 .. $processes ) {
    pipe( my $reader, my $writer ) or die "pipe: $!";
    my $pid = fork() // die "fork: $!";
    if ( !$pid ) {
        close $reader;
        consume($writer);
        exit 0;
    }
    push @children, $pid;
    close $writer;
    defined readline($reader) or die "a consumer could not connect\n";
}
$SIG{TERM} = sub { kill 'TERM', @children; };
print "ready\n";
waitpid $_, 0 for @children;
exit 0;

# Take events and insert rows for ever; say so on $started once connected.
sub consume {
    my ($started) = @_;
    my $redis = Redis->new( sock => $ENV{BENCH_REDIS_SOCKET} );
    my $db = DBI->connect(
        "DBI:mysql:database=$ENV{BENCH_MYSQL_DATABASE};mysql_socket=$ENV{BENCH_MYSQL_SOCKET}",
        $ENV{BENCH_MYSQL_USER}, $ENV{BENCH_MYSQL_PASSWORD},
        { RaiseError => 1, AutoCommit => 1 }
    );
    my $insert = $db->prepare('INSERT INTO pepi_event (id, event_name) VALUES (?, ?)');
    print {$started} "connected\n";
    close $started;
    while (1) {
        my ( undef, $payload ) = $redis->blpop( $queue, 0 );
        my $event = decode_json($payload);
        $insert->execute( $event->{id}, $event->{event_name} );
    }
    return;
}

// The article's new flow ("Real-Time Email Tracking With Go, Redis, and Lua"): goroutines pull
// batches off a Redis list with a Lua script by EVALSHA, and one goroutine inserts them.
//
// At most once, as published: the script trims the list before anything is inserted, so a crash
// loses what is in the channel and in flight.
//
// The published parameters are the defaults: batch 100, 10 fetching goroutines, 1 inserter.
// BENCH_BATCH, BENCH_FETCHERS and BENCH_INSERTERS change them.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

type event struct {
	ID        uint64 `json:"id"`
	EventName string `json:"event_name"`
}

const emptyPause = 10 * time.Millisecond

func main() {
	ctx := context.Background()
	batch := number("BENCH_BATCH", 100)
	fetchers := number("BENCH_FETCHERS", 10)
	inserters := number("BENCH_INSERTERS", 1)

	client := redis.NewClient(&redis.Options{
		Network:  "unix",
		Addr:     os.Getenv("BENCH_REDIS_SOCKET"),
		PoolSize: fetchers,
	})
	script, err := os.ReadFile(os.Getenv("BENCH_SCRIPT"))
	check(err)
	sha, err := client.ScriptLoad(ctx, string(script)).Result()
	check(err)

	// interpolateParams: one round trip an INSERT instead of three, which is the kinder choice.
	db, err := sql.Open("mysql", fmt.Sprintf(
		"%s:%s@unix(%s)/%s?interpolateParams=true&maxAllowedPacket=0",
		os.Getenv("BENCH_MYSQL_USER"), os.Getenv("BENCH_MYSQL_PASSWORD"),
		os.Getenv("BENCH_MYSQL_SOCKET"), os.Getenv("BENCH_MYSQL_DATABASE")))
	check(err)
	db.SetMaxIdleConns(inserters)
	check(db.Ping())

	batchInsert := make(chan []event, fetchers)
	for i := 0; i < inserters; i++ {
		go insert(db, batchInsert)
	}
	for i := 0; i < fetchers; i++ {
		go fetch(ctx, client, sha, os.Getenv("BENCH_QUEUE"), batch, batchInsert)
	}
	fmt.Println("ready")

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

// fetch takes batches off the list for ever.
func fetch(ctx context.Context, client *redis.Client, sha, queue string, batch int, out chan<- []event) {
	for {
		payloads, err := client.EvalSha(ctx, sha, []string{queue, strconv.Itoa(batch)}).StringSlice()
		check(err)
		if len(payloads) == 0 {
			time.Sleep(emptyPause)
			continue
		}
		events := make([]event, 0, len(payloads))
		for _, payload := range payloads {
			var e event
			check(json.Unmarshal([]byte(payload), &e))
			events = append(events, e)
		}
		out <- events
	}
}

// insert writes each batch as one multi-row INSERT.
func insert(db *sql.DB, in <-chan []event) {
	for events := range in {
		statement := "INSERT INTO pepi_event (id, event_name) VALUES " +
			strings.TrimSuffix(strings.Repeat("(?,?),", len(events)), ",")
		values := make([]any, 0, 2*len(events))
		for _, e := range events {
			values = append(values, e.ID, e.EventName)
		}
		_, err := db.Exec(statement, values...)
		check(err)
	}
}

func number(name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

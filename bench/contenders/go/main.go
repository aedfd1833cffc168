// Command go-contender is the pipeline of the Pepipost article "Real-Time Email Tracking With Go,
// Redis, and Lua" for the benchmark: goroutines pop batches from a Redis list with the article's
// Lua script, decode them, and pass them over a channel to one goroutine that inserts each batch
// with one statement.
//
// Guarantee: at most once. A batch is gone from Redis before MySQL has it, so whatever kills the
// process between the two loses every batch that was on its way.
//
// BENCH_BATCH, BENCH_FETCHERS and BENCH_INSERTERS change the article's numbers, and
// BENCH_INTERPOLATE=1 lets the driver write the values into the statement itself, which saves two
// round trips an INSERT. That is not the driver's default, and the article says nothing of it. It prints "ready"
// once all goroutines have their connections and poll; SIGTERM ends it after the batches in hand.
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
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

const pause = 10 * time.Millisecond // between looks at an empty list

type event struct {
	ID        uint64 `json:"id"`
	EventName string `json:"event_name"`
}

func main() {
	log.SetFlags(0)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := run(stop); err != nil {
		log.Fatal(err)
	}
}

func run(stop context.Context) error {
	batch, err := number("BENCH_BATCH", 100)
	if err != nil {
		return err
	}
	fetchers, err := number("BENCH_FETCHERS", 10)
	if err != nil {
		return err
	}
	inserters, err := number("BENCH_INSERTERS", 1)
	if err != nil {
		return err
	}
	queue := os.Getenv("BENCH_QUEUE")
	if queue == "" {
		queue = "pepi_queue"
	}

	// Not stop: a call that SIGTERM cut short would lose what Redis had popped already.
	ctx := context.Background()

	rdb := redis.NewClient(&redis.Options{
		Network:  "unix",
		Addr:     os.Getenv("BENCH_REDIS_SOCKET"),
		PoolSize: fetchers,
		// A repeated call pops again, and what the first one popped is lost without a word.
		MaxRetries: -1,
	})
	defer rdb.Close()
	script, err := os.ReadFile(os.Getenv("BENCH_SCRIPT"))
	if err != nil {
		return err
	}
	sha, err := rdb.ScriptLoad(ctx, string(script)).Result()
	if err != nil {
		return fmt.Errorf("SCRIPT LOAD: %w", err)
	}

	db, err := openMySQL()
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(inserters)

	batchInsert := make(chan []event)
	failed := make(chan error, fetchers+inserters)

	var inserting sync.WaitGroup
	for i := 0; i < inserters; i++ {
		conn, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("MySQL: %w", err)
		}
		inserting.Add(1)
		go func() {
			defer inserting.Done()
			defer conn.Close()
			for events := range batchInsert {
				if err := insert(ctx, conn, events); err != nil {
					failed <- fmt.Errorf("INSERT of %d rows: %w", len(events), err)
					return
				}
			}
		}()
	}

	var fetching, polling sync.WaitGroup
	for i := 0; i < fetchers; i++ {
		fetching.Add(1)
		polling.Add(1)
		go func() {
			defer fetching.Done()
			var once sync.Once
			for stop.Err() == nil {
				events, err := fetch(ctx, rdb, sha, queue, batch)
				if err != nil {
					failed <- err
					return
				}
				once.Do(polling.Done)
				if len(events) == 0 {
					time.Sleep(pause)
					continue
				}
				batchInsert <- events
			}
		}()
	}
	go func() {
		polling.Wait()
		fmt.Println("ready")
	}()

	done := make(chan struct{})
	go func() {
		fetching.Wait()
		close(batchInsert)
		inserting.Wait()
		close(done)
	}()
	select {
	case err := <-failed:
		return err
	case <-done:
	}
	select { // the last batches may have failed
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// fetch pops and decodes up to batch events; none when the list is empty.
func fetch(ctx context.Context, rdb *redis.Client, sha, queue string, batch int) ([]event, error) {
	// The count goes as a key, as published.
	keys := []string{queue, strconv.Itoa(batch)}
	payloads, err := rdb.EvalSha(ctx, sha, keys).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("EVALSHA: %w", err)
	}
	events := make([]event, len(payloads))
	for i, payload := range payloads {
		if err := json.Unmarshal([]byte(payload), &events[i]); err != nil {
			return nil, fmt.Errorf("payload %q: %w", payload, err)
		}
	}
	return events, nil
}

// insert writes events with one statement, which commits by itself.
func insert(ctx context.Context, conn *sql.Conn, events []event) error {
	query := "INSERT INTO pepi_event (id, event_name) VALUES (?,?)" +
		strings.Repeat(",(?,?)", len(events)-1)
	args := make([]any, 0, 2*len(events))
	for _, e := range events {
		args = append(args, e.ID, e.EventName)
	}
	_, err := conn.ExecContext(ctx, query, args...)
	return err
}

func openMySQL() (*sql.DB, error) {
	config := mysql.NewConfig()
	config.Net = "unix"
	config.Addr = os.Getenv("BENCH_MYSQL_SOCKET")
	config.User = os.Getenv("BENCH_MYSQL_USER")
	config.Passwd = os.Getenv("BENCH_MYSQL_PASSWORD")
	config.DBName = os.Getenv("BENCH_MYSQL_DATABASE")
	config.InterpolateParams = os.Getenv("BENCH_INTERPOLATE") == "1"
	// Ask the server. A statement over the limit would be prepared instead, and MySQL prepares none
	// with more than 65,535 placeholders.
	config.MaxAllowedPacket = 0
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func number(name string, otherwise int) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%q: not a whole number of 1 or more", name, text)
	}
	return n, nil
}

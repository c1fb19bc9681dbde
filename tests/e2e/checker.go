// Checks a log with Go's own packages, golang.org/x/mod/sumdb/note and tlog, and none of the relay's code:
//
//	checker LOG                      signature, tiles, every entry against the signed head
//	checker receipt FILE VKEY        a receipt (C2SP tlog-proof) alone
//	checker grown OLD FILE VKEY      that a checkpoint grew from an older one (C2SP add-checkpoint body)
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tiles struct{ dir string }

func (t tiles) Height() int                          { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte)      {}
func (t tiles) ReadTiles(ts []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range ts {
		// Go names them tile/8/0/000; C2SP tlog-tiles leaves the height out.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

// head gives size and root of a checkpoint, once its signature is proven.
func head(checkpoint []byte, vkey string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		log.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	var size int64
	fmt.Sscan(lines[1], &size)
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		log.Fatal(err)
	}
	return size, root
}

// split gives the lines before the empty one, the hashes among them, and the checkpoint behind it.
func split(path string, first int) ([]string, []tlog.Hash, []byte) {
	before, checkpoint, _ := strings.Cut(string(read(path)), "\n\n")
	lines := strings.Split(before, "\n")
	var hashes []tlog.Hash
	for _, line := range lines[first:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			log.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	return lines, hashes, []byte(checkpoint)
}

func receipt(path, vkey string) {
	lines, proof, checkpoint := split(path, 3)
	size, root := head(checkpoint, vkey)
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		log.Fatal(err)
	}
	var index int64
	fmt.Sscanf(lines[2], "index %d", &index)
	if err := tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(entry)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("entry %d of %d is %s\n", index, size, entry)
}

func grown(old, path, vkey string) {
	_, proof, checkpoint := split(path, 1)
	oldSize, oldRoot := head(read(old), vkey)
	size, root := head(checkpoint, vkey)
	if err := tlog.CheckTree(proof, size, root, oldSize, oldRoot); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d entries grew from %d\n", size, oldSize)
}

func main() {
	if os.Args[1] == "receipt" {
		receipt(os.Args[2], os.Args[3])
		return
	}
	if os.Args[1] == "grown" {
		grown(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	dir := os.Args[1]
	size, root := head(read(filepath.Join(dir, "checkpoint")), string(read(filepath.Join(dir, "vkey"))))
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{dir})
	for next := int64(0); next < size; {
		path := fmt.Sprintf("tile/entries/%03d", next/256)
		if size-next < 256 {
			path += fmt.Sprintf(".p/%d", size-next)
		}
		bundle := read(filepath.Join(dir, path))
		for len(bundle) > 0 {
			n := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+n]
			bundle = bundle[2+n:]
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, next)})
			if err != nil {
				log.Fatal(err)
			}
			if hashes[0] != tlog.RecordHash(entry) {
				log.Fatalf("entry %d altered", next)
			}
			next++
		}
	}
	fmt.Printf("%d entries agree with the signed head\n", size)
}

package main

import (
	_ "embed" // the reference figures
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

// quotes are the reference figures of a cell.
type quotes struct {
	us    map[string]float64 // by column
	which string             // the set-up of torch_best
}

//go:embed reference.csv
var referenceCSV string

func readReference(text string) (map[cell]quotes, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	all := map[cell]quotes{}
	head := rows[0]
	for _, row := range rows[1:] {
		threads, err := strconv.Atoi(row[3])
		if err != nil {
			return nil, err
		}
		q := quotes{us: map[string]float64{}}
		for i, field := range row[5:] {
			switch column := head[5+i]; {
			case column == "which":
				q.which = field
			case field != "":
				if q.us[column], err = strconv.ParseFloat(field, 64); err != nil {
					return nil, fmt.Errorf("%s of %s: %w", column, strings.Join(row[:5], " "), err)
				}
			}
		}
		all[cell{row[0], row[1], row[2], threads, row[4]}] = q
	}
	return all, nil
}

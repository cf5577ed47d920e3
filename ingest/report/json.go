package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"changde/ingest/finding"
)

// JSON writes the document as one JSON object, the findings last, one to a line,
// as they stream by. After an error what was written is not valid JSON.
func JSON(w io.Writer, d Document) error {
	if err := d.check(); err != nil {
		return err
	}
	head, err := json.MarshalIndent(d.filled(), "", "  ")
	if err != nil {
		return fmt.Errorf("report of delivery %d: %w", d.Delivery, err)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("\n}"))) // the error comes with Flush
	_, _ = out.WriteString(",\n  \"findings\": [")
	separator := "\n    "
	err = d.each(func(f finding.Finding) error {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		_, _ = out.WriteString(separator)
		separator = ",\n    "
		_, err = out.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	if separator != "\n    " {
		_, _ = out.WriteString("\n  ")
	}
	_, _ = out.WriteString("]\n}\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the report of delivery %d: %w", d.Delivery, err)
	}
	return nil
}

// filled is the document with titles for its rules, and lists where there are none.
func (d Document) filled() Document {
	rules := make([]RuleResult, 0, len(d.Rules))
	for _, r := range d.Rules {
		title := r.title()
		r.TitleZH, r.TitleEN = title.ZH, title.EN
		rules = append(rules, r)
	}
	d.Rules = rules
	if d.Files == nil {
		d.Files = []string{}
	}
	if d.Plan == nil {
		d.Plan = []Item{}
	}
	if d.Decisions == nil {
		d.Decisions = []Decision{}
	}
	return d
}

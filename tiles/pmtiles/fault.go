package pmtiles

import "changde/problem"

// corrupt says what in an archive is not as it should be, and where.
func corrupt(where, zh, en string) *problem.Error {
	return problem.New(problem.Invalid, "pmtiles-corrupt", where, zh+"；文件已损坏或不完整，请重新生成", en+"; the file is corrupt or incomplete: build it again")
}

func unsupported(zh, en string) *problem.Error {
	return problem.New(problem.Unsupported, "pmtiles-unsupported", "header", zh, en)
}

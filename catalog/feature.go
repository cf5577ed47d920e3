package catalog

// FeatureRef names one feature of a dataset in a way that outlives releases:
// by the value of the dataset's business key where it has one, by fid otherwise.
type FeatureRef struct {
	Collection string
	FID        int64
	Key        string  // value of the business key as text, empty when there is none
	Title      string  // value of the label column, may be empty
	Bounds     *Bounds // nil when the feature has no geometry
	// Release is the state of the dataset in which the feature is looked for. Nil: the
	// current one.
	Release *Release
}

package dropbox

import "errors"

// maxRecord bounds the record of a claim: names of 4,000 files.
const maxRecord = 16 << 20

// claimState is what a scan sees of a claim.
type claimState struct {
	holder string // nonce or version, by which it is taken over
	dead   bool
}

// claimStates are the claims of a box by place.
type claimStates map[string]claimState

// apply leaves out the parcels that are in good hands, notes by which holder the
// others are to be taken over, and adds the claims that nothing in the box
// belongs to any more: a watcher died while it moved the files.
func (c claimStates) apply(parcels []Parcel, abandoned func(place, holder string) (Parcel, error)) ([]Parcel, error) {
	var out []Parcel
	seen := make(map[string]bool)
	for _, p := range parcels {
		seen[p.place] = true
		state, claimed := c[p.place]
		if claimed && !state.dead {
			continue
		}
		p.dead = state.holder
		out = append(out, p)
	}
	var errs error
	for place, state := range c {
		if seen[place] || !state.dead {
			continue
		}
		p, err := abandoned(place, state.holder)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		p.place, p.dead = place, state.holder
		out = append(out, p)
	}
	return out, errs
}

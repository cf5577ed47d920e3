// Package access knows who is asking: organisations, their keys, and what a
// holder of a key may do.
//
// A key is sent in one of three ways, the same key in each:
//
//	Authorization: Bearer cd_...
//	X-API-Key: cd_...
//	?tk=cd_...
//
// The last one is for map clients that can set no header; it ends up in the logs
// of proxies, so the others are to be preferred. What writes a URL to a log
// passes it through RedactURL. A request without a key is anonymous.
package access

// Principal is who asks. The zero value is anonymous. It implements the Reader
// of package catalog and is a value to copy.
type Principal struct {
	Organisation string // id; empty for the anonymous
	NameZH       string
	NameEN       string
	Admin        bool   // the organisation administers the platform
	KeyID        string // id of the key that was shown, which is no secret
	Role         Role   // of the key
}

// Role is what a key may do beyond reading, for its organisation.
type Role string

// The roles. Each may do what those before it may.
const (
	Reader      Role = "reader"      // read
	Contributor Role = "contributor" // deliver files, edit features, withdraw deliveries
	Approver    Role = "approver"    // decide on deliveries to the organisation's datasets
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r == Reader || r == Contributor || r == Approver }

// MayContribute reports whether p may deliver and edit for its organisation.
func (p Principal) MayContribute() bool {
	return !p.Anonymous() && (p.Role == Contributor || p.Role == Approver)
}

// MayApprove reports whether p may decide on deliveries to its organisation's
// datasets.
func (p Principal) MayApprove() bool { return !p.Anonymous() && p.Role == Approver }

// Operates reports whether p may do for every organisation what its role allows:
// the organisation administers the platform and the key is an approver's.
func (p Principal) Operates() bool { return p.admin() && p.Role == Approver }

// Anonymous reports whether no organisation stands behind the request.
func (p Principal) Anonymous() bool { return p.Organisation == "" }

// MayRead reports whether p may read what owner, empty for the platform itself,
// shares in this way: "public" everybody, "internal" any organisation,
// "private" the owner. An organisation that administers the platform reads
// everything, and it alone what is shared in a way not known here.
func (p Principal) MayRead(owner, sharing string) bool {
	if p.admin() {
		return true
	}
	switch sharing {
	case "public":
		return true
	case "internal":
		return !p.Anonymous()
	case "private":
		return !p.Anonymous() && p.Organisation == owner
	}
	return false
}

// MayDeclareProjects reports whether p may declare projects at all. An
// organisation declares its own.
func (p Principal) MayDeclareProjects() bool { return !p.Anonymous() }

// MayDeclareFor reports whether p may declare a project of that organisation:
// its own, or any when it administers the platform.
func (p Principal) MayDeclareFor(organisation string) bool {
	return p.admin() || !p.Anonymous() && p.Organisation == organisation
}

// admin is false for the anonymous whatever the field says.
func (p Principal) admin() bool { return p.Admin && !p.Anonymous() }

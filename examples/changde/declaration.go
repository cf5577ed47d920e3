package changde

import (
	"encoding/json"
	"fmt"
)

// planIssued is the day of the year on which the sample's annual plans are issued.
const planIssued = "03-20"

// Declaration is the project as the body of POST /projects.
func (p Project) Declaration() []byte {
	body := map[string]any{"code": p.Code, "supervised": p.Supervised}
	for name, value := range map[string]string{
		"name": p.NameZH, "nameEn": p.NameEN, "category": p.Category, "unit": p.Unit, "fund": p.Fund, "description": p.Description,
		"planAmount": p.PlanAmount, "declaredAmount": p.Declared, "approvedAmount": p.Approved,
		"acceptedOn": p.Accepted, "reviewedOn": p.Reviewed, "tenderFiledOn": p.TenderFiled,
		"constructionStartedOn": p.Started, "finalAcceptedOn": p.Final, "acceptanceResult": p.Result,
	} {
		if value != "" {
			body[name] = value
		}
	}
	if p.PlanYear != 0 {
		body["planYear"] = p.PlanYear
		// What is accepted after the plan is issued joins it by an adjustment.
		body["plannedOn"] = max(fmt.Sprintf("%d-%s", p.PlanYear, planIssued), p.Accepted)
	}
	assets := []map[string]any{}
	for _, l := range p.Links {
		assets = append(assets, map[string]any{"collection": l.Dataset, "key": l.Key, "role": l.Role})
	}
	for _, a := range p.NewAssets {
		assets = append(assets, map[string]any{"type": a.Type, "name": a.Name, "geometry": json.RawMessage(a.GeoJSON)})
	}
	body["assets"] = assets
	data, err := json.Marshal(body)
	if err != nil {
		panic("changde: the sample's projects are constants: " + err.Error())
	}
	return data
}

package changde

// departmentWork is a construction unit with two subjects of informatisation, invented
// for the sample.
type departmentWork struct {
	unit     string
	subjects [2]subject
}

// subject is what a project builds.
type subject struct {
	name     string
	category string // infrastructure, base_database, application, network, security, terminal, service
}

const (
	infra = "infrastructure"
	based = "base_database"
	appl  = "application"
	netw  = "network"
	secur = "security"
	termi = "terminal"
	servi = "service"
)

// departments of the city in 2009 to 2012. The names are those of offices such a
// city has; the projects are made up.
var departments = []departmentWork{
	{"常德市电子政务办公室", [2]subject{{"政务外网接入扩容", netw}, {"市级数据交换平台", based}}},
	{"常德市公安局", [2]subject{{"城区治安视频监控二期", infra}, {"警用地理信息系统", appl}}},
	{"常德市国土资源局", [2]subject{{"地理空间框架基础数据库", based}, {"国土一张图应用系统", appl}}},
	{"常德市规划局", [2]subject{{"规划审批管理信息系统", appl}, {"控制性详细规划数据库", based}}},
	{"常德市财政局", [2]subject{{"国库集中支付系统升级", appl}, {"非税收入管理系统", appl}}},
	{"常德市人力资源和社会保障局", [2]subject{{"社会保障一卡通服务终端", termi}, {"城乡居民养老保险信息系统", appl}}},
	{"常德市教育局", [2]subject{{"校园安全视频监控", infra}, {"教育城域网汇聚节点", netw}}},
	{"常德市卫生局", [2]subject{{"居民电子健康档案数据库", based}, {"急救指挥调度系统", appl}}},
	{"常德市交通运输局", [2]subject{{"城区交通视频监控", infra}, {"客运车辆定位监管系统", appl}}},
	{"常德市水利局", [2]subject{{"山洪灾害监测预警系统", infra}, {"防汛指挥视频会商系统", appl}}},
	{"常德市环境保护局", [2]subject{{"重点污染源在线监控", infra}, {"环境质量发布系统", appl}}},
	{"常德市城市管理局", [2]subject{{"数字化城市管理系统", appl}, {"城管部件普查数据库", based}}},
	{"常德市房产管理局", [2]subject{{"房产交易登记系统", appl}, {"楼盘表数据库", based}}},
	{"常德市民政局", [2]subject{{"地名公共服务系统", appl}, {"低保核对信息系统", appl}}},
	{"常德市工商行政管理局", [2]subject{{"企业信用信息系统", appl}, {"12315 投诉指挥平台", servi}}},
	{"常德市质量技术监督局", [2]subject{{"特种设备动态监管系统", appl}, {"组织机构代码数据库", based}}},
	{"常德市安全生产监督管理局", [2]subject{{"重大危险源监控系统", infra}, {"安全生产应急平台", appl}}},
	{"常德市农业局", [2]subject{{"农产品质量追溯系统", appl}, {"测土配方施肥数据库", based}}},
	{"常德市林业局", [2]subject{{"森林防火视频监控", infra}, {"林权管理信息系统", appl}}},
	{"常德市档案局", [2]subject{{"数字档案馆一期", based}, {"政务文件查阅终端", termi}}},
	{"常德市政务服务中心", [2]subject{{"网上审批和电子监察系统", appl}, {"办事大厅自助终端", termi}}},
	{"常德市人民政府办公室", [2]subject{{"协同办公系统", appl}, {"应急指挥平台", appl}}},
	{"常德市统计局", [2]subject{{"宏观经济数据库", based}, {"联网直报接入改造", netw}}},
	{"常德市审计局", [2]subject{{"联网审计系统", appl}, {"审计数据安全加固", secur}}},
	{"常德市监察局", [2]subject{{"行政效能电子监察", appl}, {"视频监察点", infra}}},
	{"常德市住房公积金管理中心", [2]subject{{"公积金综合业务系统", appl}, {"公积金自助查询终端", termi}}},
	{"常德市住房和城乡建设局", [2]subject{{"建筑市场监管系统", appl}, {"施工工地视频监控", infra}}},
	{"常德市发展和改革委员会", [2]subject{{"重点项目管理系统", appl}, {"投资项目在线备案", appl}}},
	{"常德市经济和信息化委员会", [2]subject{{"中小企业服务平台", servi}, {"工业运行监测系统", appl}}},
	{"常德市商务局", [2]subject{{"肉菜流通追溯系统", appl}, {"市场运行监测终端", termi}}},
	{"常德市文化局", [2]subject{{"文化信息资源共享工程", servi}, {"网吧远程监管系统", appl}}},
	{"常德市广播电视局", [2]subject{{"应急广播指挥系统", infra}, {"视听节目监管系统", appl}}},
	{"常德市体育局", [2]subject{{"全民健身设施数据库", based}, {"场馆信息发布屏", termi}}},
	{"常德市人口和计划生育委员会", [2]subject{{"全员人口信息数据库", based}, {"流动人口服务系统", appl}}},
	{"常德市司法局", [2]subject{{"社区矫正定位系统", appl}, {"司法行政视频会议", infra}}},
	{"常德市信访局", [2]subject{{"网上信访系统", appl}, {"视频接访系统", infra}}},
	{"常德市旅游局", [2]subject{{"旅游信息服务终端", termi}, {"旅游咨询网站群", servi}}},
	{"常德市粮食局", [2]subject{{"粮库远程监控", infra}, {"粮食流通监测系统", appl}}},
	{"常德市气象局", [2]subject{{"气象灾害预警发布屏", termi}, {"区域自动站组网", netw}}},
	{"常德市地震局", [2]subject{{"地震应急数据库", based}, {"强震台网接入", netw}}},
	{"常德市科学技术局", [2]subject{{"科技文献共享平台", servi}, {"科技项目管理系统", appl}}},
	{"常德市药品监督管理局", [2]subject{{"药品电子监管系统", appl}, {"药品检验实验室系统", appl}}},
	{"常德市地方税务局", [2]subject{{"税源控管系统", appl}, {"财税库银联网", netw}}},
	{"常德市公共资源交易中心", [2]subject{{"远程评标系统", appl}, {"交易大厅监控系统", infra}}},
	{"常德市人民防空办公室", [2]subject{{"人防警报控制系统", infra}, {"人防指挥信息系统", appl}}},
	{"常德市移民开发局", [2]subject{{"移民信息管理系统", appl}, {"移民人口数据库", based}}},
	{"常德市扶贫开发办公室", [2]subject{{"扶贫对象数据库", based}, {"扶贫项目管理系统", appl}}},
	{"常德市残疾人联合会", [2]subject{{"残疾人人口数据库", based}, {"无障碍信息服务", servi}}},
	{"常德市总工会", [2]subject{{"困难职工帮扶系统", appl}, {"工会会员数据库", based}}},
	{"常德市中级人民法院", [2]subject{{"数字法庭系统", infra}, {"审判信息查询终端", termi}}},
	{"常德市人民检察院", [2]subject{{"检务公开查询系统", appl}, {"视频接访与会议系统", infra}}},
	{"中共常德市委组织部", [2]subject{{"干部信息管理系统", appl}, {"党员远程教育站点", termi}}},
	{"中共常德市委宣传部", [2]subject{{"政府门户网站群", servi}, {"舆情信息系统", appl}}},
	{"常德市机构编制委员会办公室", [2]subject{{"机构编制实名制系统", appl}, {"中文域名注册管理", servi}}},
	{"常德市人大常委会办公室", [2]subject{{"会议表决系统", infra}, {"代表履职服务系统", appl}}},
	{"常德市政协办公室", [2]subject{{"提案办理系统", appl}, {"委员服务网站", servi}}},
	{"常德市国有资产监督管理委员会", [2]subject{{"国资监管信息系统", appl}, {"产权交易公示系统", appl}}},
	{"常德市公安消防支队", [2]subject{{"消防远程监控系统", infra}, {"消防水源数据库", based}}},
	{"常德市公路管理局", [2]subject{{"公路治超视频监控", infra}, {"公路养护管理系统", appl}}},
	{"常德市水上交通安全管理局", [2]subject{{"沅江航道视频监控", infra}, {"船舶定位管理系统", appl}}},
	{"常德市畜牧兽医水产局", [2]subject{{"动物防疫追溯系统", appl}, {"渔政视频监控", infra}}},
	{"常德市供销合作社", [2]subject{{"农资流通信息系统", appl}, {"农村综合服务终端", termi}}},
	{"常德市图书馆", [2]subject{{"图书自助借还终端", termi}, {"数字图书馆资源库", based}}},
	{"常德职业技术学院", [2]subject{{"数字校园平台", appl}, {"校园一卡通", termi}}},
	{"常德市第一人民医院", [2]subject{{"远程会诊系统", appl}, {"预约挂号服务终端", termi}}},
}
